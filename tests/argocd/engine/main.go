// Engine: what of Argo CD a test needs and Go alone has: `template` fills in an ApplicationSet's template, as its
// controller does; `notify` runs triggers and sends notifications with Argo CD's own engine; `health` runs its Lua.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"github.com/argoproj/notifications-engine/pkg/api"
	"github.com/argoproj/notifications-engine/pkg/services"
	corev1 "k8s.io/api/core/v1"
)

type object = map[string]interface{}

func main() {
	commands := map[string]func() (interface{}, error){"template": filled, "notify": notified, "health": judged}
	command, known := commands[strings.Join(os.Args[1:], " ")]
	if !known {
		fail(fmt.Errorf("usage: engine template | notify | health, with its question as JSON on stdin"))
	}
	answer, err := command()
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func read(question interface{}) error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, question)
}

// filled takes every string of `template` as a Go template over each of `parameters`, under `options`.
func filled() (interface{}, error) {
	var question struct {
		Template   interface{}
		Options    []string
		Parameters []object
	}
	if err := read(&question); err != nil {
		return nil, err
	}
	answers := []interface{}{}
	for _, parameters := range question.Parameters {
		answer, err := fill(question.Template, question.Options, parameters)
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

func fill(node interface{}, options []string, parameters object) (interface{}, error) {
	switch node := node.(type) {
	case string:
		return fillText(node, options, parameters)
	case []interface{}:
		filled := []interface{}{}
		for _, element := range node {
			value, err := fill(element, options, parameters)
			if err != nil {
				return nil, err
			}
			filled = append(filled, value)
		}
		return filled, nil
	case object:
		filled := object{}
		for key, element := range node {
			name, err := fillText(key, options, parameters)
			if err != nil {
				return nil, err
			}
			if filled[name], err = fill(element, options, parameters); err != nil {
				return nil, err
			}
		}
		return filled, nil
	}
	return node, nil
}

func fillText(text string, options []string, parameters object) (string, error) {
	parsed, err := template.New("").Option(options...).Funcs(functions()).Parse(text)
	if err != nil {
		return "", fmt.Errorf("%q: %w", text, err)
	}
	var said strings.Builder
	if err := parsed.Execute(&said, parameters); err != nil {
		return "", fmt.Errorf("%q: %w", text, err)
	}
	return said.String(), nil
}

// The functions that an ApplicationSet has, but for those that it adds to Sprig's.
func functions() template.FuncMap {
	known := sprig.GenericFuncMap()
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(known, name)
	}
	return known
}

// notified runs every trigger that `config` subscribes to over each of `apps`, and sends what they ask for. It tells
// each trigger that has fired, by the application's name. Nothing is remembered: `oncePer` is the controller's.
func notified() (interface{}, error) {
	var question struct {
		Config map[string]string
		Secret map[string]string
		Apps   []object
	}
	if err := read(&question); err != nil {
		return nil, err
	}
	secret := map[string][]byte{}
	for key, value := range question.Secret {
		secret[key] = []byte(value)
	}
	config, err := api.ParseConfig(&corev1.ConfigMap{Data: question.Config}, &corev1.Secret{Data: secret})
	if err != nil {
		return nil, err
	}
	engine, err := api.NewAPI(*config, func(app object, _ services.Destination) object { return object{"app": app} })
	if err != nil {
		return nil, err
	}
	fired := [][]string{}
	for _, app := range question.Apps {
		names, err := send(engine, config, app)
		if err != nil {
			return nil, err
		}
		fired = append(fired, names)
	}
	return fired, nil
}

func send(engine api.API, config *api.Config, app object) ([]string, error) {
	fired := []string{}
	for trigger, destinations := range config.GetGlobalDestinations(nil) {
		results, err := engine.RunTrigger(trigger, app)
		if err != nil {
			return nil, err
		}
		for _, result := range results {
			if !result.Triggered {
				continue
			}
			fired = append(fired, trigger)
			for _, destination := range destinations {
				if err := engine.Send(app, result.Templates, destination); err != nil {
					return nil, fmt.Errorf("%s: %w", trigger, err)
				}
			}
		}
	}
	sort.Strings(fired)
	return fired, nil
}
