// A provider that keeps what it is told, and asks nobody: it stands in where the real one cannot be had. What its
// resources have is in schema.json beside the program, in the words of `terraform providers schema -json`.
package main

import (
	"encoding/json"
	"log"
	"os"
	"path/filepath"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

type attribute struct {
	Type      json.RawMessage
	Required  bool
	Optional  bool
	Computed  bool
	Sensitive bool
}

type nested struct {
	NestingMode string `json:"nesting_mode"`
	Block       block
	MinItems    int64 `json:"min_items"`
	MaxItems    int64 `json:"max_items"`
}

type block struct {
	Attributes map[string]attribute
	BlockTypes map[string]nested `json:"block_types"`
}

type schema struct {
	Version int64
	Block   block
}

type provider struct {
	Provider  schema
	Resources map[string]schema `json:"resource_schemas"`
	Data      map[string]schema `json:"data_source_schemas"`
}

var nestings = map[string]tfprotov6.SchemaNestedBlockNestingMode{
	"list":   tfprotov6.SchemaNestedBlockNestingModeList,
	"set":    tfprotov6.SchemaNestedBlockNestingModeSet,
	"single": tfprotov6.SchemaNestedBlockNestingModeSingle,
}

func (given schema) told() *tfprotov6.Schema {
	return &tfprotov6.Schema{Version: given.Version, Block: given.Block.told()}
}

func (given block) told() *tfprotov6.SchemaBlock {
	told := &tfprotov6.SchemaBlock{}
	for name, one := range given.Attributes {
		told.Attributes = append(told.Attributes, &tfprotov6.SchemaAttribute{
			Name: name, Type: one.kind(), Required: one.Required, Optional: one.Optional,
			Computed: one.Computed, Sensitive: one.Sensitive,
		})
	}
	for name, one := range given.BlockTypes {
		told.BlockTypes = append(told.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Block: one.Block.told(), Nesting: nestings[one.NestingMode],
			MinItems: one.MinItems, MaxItems: one.MaxItems,
		})
	}
	return told
}

func (given attribute) kind() tftypes.Type {
	kind, err := tftypes.ParseJSONType(given.Type) //nolint:staticcheck // there is no other way from JSON
	if err != nil {
		log.Fatalf("schema.json: %s: %v", given.Type, err)
	}
	return kind
}

func main() {
	program, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(program), "schema.json"))
	if err != nil {
		log.Fatal(err)
	}
	var schemas struct {
		Providers map[string]provider `json:"provider_schemas"`
	}
	if err := json.Unmarshal(text, &schemas); err != nil {
		log.Fatal(err)
	}
	for address, one := range schemas.Providers {
		err := tf6server.Serve(address, func() tfprotov6.ProviderServer { return &server{provider: one} })
		if err != nil {
			log.Fatal(err)
		}
	}
}
