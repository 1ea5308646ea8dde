// Judges measurements as Argo Rollouts does: with its engine for conditions, in the order in which it asks them.
//
// Takes a JSON array on standard input, of objects {"result": ["0.5", "NaN"], "success": "…", "failure": "…"}, and gives
// an array of phases: Successful, Failed, Inconclusive, or Error where a condition cannot be evaluated.
package main

import (
	"encoding/json"
	"log"
	"math"
	"os"
	"strconv"

	"github.com/expr-lang/expr"
)

type measurement struct {
	Result  []string
	Success string
	Failure string
}

func holds(condition string, result []float64) (bool, error) {
	env := map[string]any{"result": result, "isNaN": math.IsNaN, "isInf": func(f float64) bool { return math.IsInf(f, 0) }}
	program, err := expr.Compile(condition, expr.Env(env), expr.AsBool())
	if err != nil {
		return false, err
	}
	output, err := expr.Run(program, env)
	if err != nil {
		return false, err
	}
	return output.(bool), nil
}

func phase(one measurement) string {
	result := make([]float64, len(one.Result))
	for place, text := range one.Result {
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return "Error"
		}
		result[place] = value
	}
	success, err := holds(one.Success, result)
	if err != nil {
		return "Error"
	}
	failure, err := holds(one.Failure, result)
	switch {
	case err != nil:
		return "Error"
	case failure:
		return "Failed"
	case success:
		return "Successful"
	}
	return "Inconclusive"
}

func main() {
	var all []measurement
	if err := json.NewDecoder(os.Stdin).Decode(&all); err != nil {
		log.Fatal(err)
	}
	phases := []string{}
	for _, one := range all {
		phases = append(phases, phase(one))
	}
	if err := json.NewEncoder(os.Stdout).Encode(phases); err != nil {
		log.Fatal(err)
	}
}
