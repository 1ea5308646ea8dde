package main

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"
)

// judged runs a health check of `argocd-cm` over each of `objects`, in the Lua that Argo CD has.
func judged() (interface{}, error) {
	var question struct {
		Lua     string
		Objects []object
	}
	if err := read(&question); err != nil {
		return nil, err
	}
	answers := []string{}
	for _, object := range question.Objects {
		status, err := judge(question.Lua, object)
		if err != nil {
			return nil, err
		}
		answers = append(answers, status)
	}
	return answers, nil
}

func judge(check string, judged object) (string, error) {
	state := lua.NewState()
	defer state.Close()
	state.SetGlobal("obj", value(state, judged))
	if err := state.DoString(check); err != nil {
		return "", err
	}
	health, is := state.Get(-1).(*lua.LTable)
	if !is {
		return "", fmt.Errorf("it gave no table")
	}
	return lua.LVAsString(health.RawGetString("status")), nil
}

func value(state *lua.LState, node interface{}) lua.LValue {
	switch node := node.(type) {
	case string:
		return lua.LString(node)
	case float64:
		return lua.LNumber(node)
	case bool:
		return lua.LBool(node)
	case []interface{}:
		list := state.NewTable()
		for _, element := range node {
			list.Append(value(state, element))
		}
		return list
	case object:
		table := state.NewTable()
		for key, element := range node {
			table.RawSetString(key, value(state, element))
		}
		return table
	}
	return lua.LNil
}
