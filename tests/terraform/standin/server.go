package main

import (
	"context"
	"crypto/rand"
	"math/big"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// What it is not asked for here, Terraform does without.
type server struct {
	tfprotov6.ProviderServer
	provider provider
}

func (own *server) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	told := &tfprotov6.GetMetadataResponse{ServerCapabilities: &tfprotov6.ServerCapabilities{}}
	for name := range own.provider.Resources {
		told.Resources = append(told.Resources, tfprotov6.ResourceMetadata{TypeName: name})
	}
	return told, nil
}

func (own *server) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	told := &tfprotov6.GetProviderSchemaResponse{
		Provider:          own.provider.Provider.told(),
		ResourceSchemas:   map[string]*tfprotov6.Schema{},
		DataSourceSchemas: map[string]*tfprotov6.Schema{},
	}
	for name, one := range own.provider.Resources {
		told.ResourceSchemas[name] = one.told()
	}
	for name, one := range own.provider.Data {
		told.DataSourceSchemas[name] = one.told()
	}
	return told, nil
}

func (own *server) ValidateProviderConfig(_ context.Context, asked *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: asked.Config}, nil
}

func (own *server) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

func (own *server) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

func (own *server) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (own *server) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

func (own *server) UpgradeResourceState(_ context.Context, asked *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	kind := own.kind(asked.TypeName)
	value, err := asked.RawState.Unmarshal(kind)
	if err != nil {
		return nil, err
	}
	state, err := tfprotov6.NewDynamicValue(kind, value)
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &state}, err
}

func (own *server) ReadResource(_ context.Context, asked *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: asked.CurrentState, Private: asked.Private}, nil
}

// What the configuration leaves open keeps its value; where it has none yet, the plan cannot know it.
func (own *server) PlanResourceChange(_ context.Context, asked *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	given := own.provider.Resources[asked.TypeName].Block
	planned, err := own.changed(asked.TypeName, asked.ProposedNewState, func(value tftypes.Value) (tftypes.Value, error) {
		return given.each(value, func(one attribute, old tftypes.Value) tftypes.Value {
			if one.Computed && old.IsNull() {
				return tftypes.NewValue(one.kind(), tftypes.UnknownValue)
			}
			return old
		})
	})
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: planned, PlannedPrivate: asked.PriorPrivate}, err
}

func (own *server) ApplyResourceChange(_ context.Context, asked *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	given := own.provider.Resources[asked.TypeName].Block
	state, err := own.changed(asked.TypeName, asked.PlannedState, func(value tftypes.Value) (tftypes.Value, error) {
		return given.each(value, func(one attribute, old tftypes.Value) tftypes.Value {
			if !old.IsKnown() {
				return made(one.kind())
			}
			return old
		})
	})
	return &tfprotov6.ApplyResourceChangeResponse{NewState: state, Private: asked.PlannedPrivate}, err
}

func (own *server) kind(name string) tftypes.Type {
	return own.provider.Resources[name].told().ValueType()
}

func (own *server) changed(name string, raw *tfprotov6.DynamicValue, change func(tftypes.Value) (tftypes.Value, error)) (*tfprotov6.DynamicValue, error) {
	kind := own.kind(name)
	value, err := raw.Unmarshal(kind)
	if err != nil || value.IsNull() { // it is to be destroyed
		return raw, err
	}
	if value, err = change(value); err != nil {
		return nil, err
	}
	state, err := tfprotov6.NewDynamicValue(kind, value)
	return &state, err
}

// each gives an object with `change` done to all its attributes, those of the blocks within it too.
func (given block) each(value tftypes.Value, change func(attribute, tftypes.Value) tftypes.Value) (tftypes.Value, error) {
	if value.IsNull() || !value.IsKnown() {
		return value, nil
	}
	held := map[string]tftypes.Value{}
	if err := value.As(&held); err != nil {
		return value, err
	}
	for name, one := range given.Attributes {
		held[name] = change(one, held[name])
	}
	for name, one := range given.BlockTypes {
		within, err := one.each(held[name], change)
		if err != nil {
			return value, err
		}
		held[name] = within
	}
	return tftypes.NewValue(value.Type(), held), nil
}

func (given nested) each(value tftypes.Value, change func(attribute, tftypes.Value) tftypes.Value) (tftypes.Value, error) {
	if given.NestingMode == "single" {
		return given.Block.each(value, change)
	}
	if value.IsNull() || !value.IsKnown() {
		return value, nil
	}
	var blocks []tftypes.Value
	if err := value.As(&blocks); err != nil {
		return value, err
	}
	for number := range blocks {
		within, err := given.Block.each(blocks[number], change)
		if err != nil {
			return value, err
		}
		blocks[number] = within
	}
	return tftypes.NewValue(value.Type(), blocks), nil
}

// made gives a value of the kind: what the other side would have chosen. Texts are digits, as ids are.
func made(kind tftypes.Type) tftypes.Value {
	number, err := rand.Int(rand.Reader, big.NewInt(1_000_000_000))
	if err != nil {
		panic(err)
	}
	switch {
	case kind.Is(tftypes.String):
		return tftypes.NewValue(kind, number.String())
	case kind.Is(tftypes.Number):
		return tftypes.NewValue(kind, number.Int64())
	case kind.Is(tftypes.Bool):
		return tftypes.NewValue(kind, false)
	case kind.Is(tftypes.Map{}):
		return tftypes.NewValue(kind, map[string]tftypes.Value{})
	case kind.Is(tftypes.List{}), kind.Is(tftypes.Set{}):
		return tftypes.NewValue(kind, []tftypes.Value{})
	}
	return tftypes.NewValue(kind, nil)
}
