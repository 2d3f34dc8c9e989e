// Runs the templates of a table (one JSON array a line, the template first) through Go's text/template and prints
// [template, output] or [template, null, error] for each. The table go_observed.jsonl is what it printed under Go 1.26:
//   go run observe.go < go_observed.jsonl > new.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"text/template"
	"time"
)

type Pair struct{ Name, Value string }
type Pairs []Pair
type KV map[string]string

func (kv KV) SortedPairs() Pairs {
	var pairs Pairs
	for _, name := range kv.Names() {
		pairs = append(pairs, Pair{name, kv[name]})
	}
	return pairs
}

func (kv KV) Names() []string {
	names := []string{}
	for name := range kv {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (kv KV) Remove(names []string) KV {
	left := KV{}
	for name, value := range kv {
		left[name] = value
	}
	for _, name := range names {
		delete(left, name)
	}
	return left
}

type Alert struct {
	Status   string
	Labels   KV
	StartsAt time.Time
}

type Data struct {
	Receiver string
	Count    int
	Ratio    float64
	Ok       bool
	Labels   KV
	Alerts   []Alert
	Any      map[string]interface{}
	Wait     time.Duration
	Names    []string
	Nothing  interface{}
	Start    time.Time
}

func main() {
	start := time.Date(2026, 3, 7, 16, 5, 9, 120034000, time.UTC)
	data := Data{
		Receiver: "team-x",
		Count:    3,
		Ratio:    0.5,
		Ok:       true,
		Labels:   KV{"alertname": "Down", "job": "node", "zone": "a<b"},
		Alerts: []Alert{
			{"firing", KV{"alertname": "Down", "instance": "h1:9100"}, start},
			{"resolved", KV{"alertname": "Down", "instance": "h2:9100"}, start.Add(time.Minute)},
		},
		Any:     map[string]interface{}{"list": []interface{}{1, "two", 3.5, nil}, "n": 7, "none": nil},
		Wait:    90*time.Minute + 1500*time.Millisecond,
		Names:   []string{"x", "y", "z"},
		Nothing: nil,
		Start:   start,
	}
	functions := template.FuncMap{
		"stringSlice": func(s ...string) []string { return s },
		"join":        func(sep string, s []string) string { return strings.Join(s, sep) },
		"fail":        func() (string, error) { return "", fmt.Errorf("it failed") },
		"half":        func(x float64) float64 { return x / 2 },
		"next":        func(i int) int { return i + 1 },
		"flip":        func(b bool) bool { return !b },
	}
	scanner := bufio.NewScanner(os.Stdin)
	scanner.Buffer(nil, 1<<24)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for scanner.Scan() {
		var row []string
		if err := json.Unmarshal(scanner.Bytes(), &row); err != nil {
			fmt.Fprintln(os.Stderr, err, scanner.Text())
			os.Exit(1)
		}
		text := row[0]
		var output strings.Builder
		parsed, err := template.New("t").Option("missingkey=zero").Funcs(functions).Parse(text)
		if err == nil {
			err = parsed.Execute(&output, data)
		}
		if err != nil {
			out.Encode([]interface{}{text, nil, err.Error()})
		} else {
			out.Encode([]interface{}{text, output.String()})
		}
	}
}
