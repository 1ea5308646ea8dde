// The calls that Terraform's provider makes for terraform/hetzner, by the client of Hetzner's API that the provider is
// made with: `make` makes a small cluster and tells what it then reads, `refused` tells the codes of what must not
// work, `delete` takes everything away again. HCLOUD_ENDPOINT and HCLOUD_TOKEN say where.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

type told map[string]any

var (
	ctx    = context.Background()
	client = hcloud.NewClient(
		hcloud.WithEndpoint(os.Getenv("HCLOUD_ENDPOINT")), hcloud.WithToken(os.Getenv("HCLOUD_TOKEN")),
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: hcloud.ConstantBackoff(time.Millisecond)}),
	)
	labels = map[string]string{"cluster": "c"}
	subnet = hcloud.NetworkSubnet{
		Type: hcloud.NetworkSubnetTypeCloud, NetworkZone: hcloud.NetworkZoneEUCentral, IPRange: cidr("10.0.1.0/24"),
	}
)

func main() {
	commands := map[string]func() told{"make": create, "refused": refused, "delete": remove}
	if err := json.NewEncoder(os.Stdout).Encode(commands[os.Args[1]]()); err != nil {
		panic(err)
	}
}

func create() told {
	key := must(client.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{
		Name: "c-ops", PublicKey: "ssh-ed25519 AAAA", Labels: labels,
	}))
	group := must(client.PlacementGroup.Create(ctx, hcloud.PlacementGroupCreateOpts{
		Name: "c-cp", Type: hcloud.PlacementGroupTypeSpread, Labels: labels,
	})).PlacementGroup
	network := must(client.Network.Create(ctx, hcloud.NetworkCreateOpts{
		Name: "c", IPRange: cidr("10.0.0.0/16"), Labels: labels,
	}))
	wait(must(client.Network.ChangeProtection(ctx, network, protectedNetwork(true))))
	wait(must(client.Network.AddSubnet(ctx, network, hcloud.NetworkAddSubnetOpts{Subnet: subnet})))
	made := must(client.Firewall.Create(ctx, hcloud.FirewallCreateOpts{
		Name: "c", Labels: labels, Rules: []hcloud.FirewallRule{rule("22")},
	}))
	wait(must(client.Firewall.SetRules(ctx, made.Firewall, hcloud.FirewallSetRulesOpts{
		Rules: []hcloud.FirewallRule{rule("22"), rule("6443")},
	}))...)
	server := createServer(key, group, made.Firewall, network)
	balancer := createBalancer(server, network)
	return read(server, balancer, network, made.Firewall, group, key)
}

func createServer(
	key *hcloud.SSHKey, group *hcloud.PlacementGroup, firewall *hcloud.Firewall, network *hcloud.Network,
) *hcloud.Server {
	kind := must(client.ServerType.Get(ctx, "cx23"))
	key = must(client.SSHKey.Get(ctx, fmt.Sprint(key.ID)))
	made := must(client.Server.Create(ctx, hcloud.ServerCreateOpts{
		Name: "c-cp-1", ServerType: kind, Labels: labels, UserData: "#cloud-config", SSHKeys: []*hcloud.SSHKey{key},
		Image:          must(client.Image.GetForArchitecture(ctx, "ubuntu-24.04", kind.Architecture)),
		Location:       must(client.Location.Get(ctx, "fsn1")),
		PlacementGroup: must(client.PlacementGroup.GetByID(ctx, group.ID)),
		Firewalls:      []*hcloud.ServerCreateFirewall{{Firewall: *firewall}},
		PublicNet:      &hcloud.ServerCreatePublicNet{EnableIPv4: true, EnableIPv6: true},
	}))
	wait(append(made.NextActions, made.Action)...)
	wait(must(client.Server.AttachToNetwork(ctx, made.Server, hcloud.ServerAttachToNetworkOpts{
		Network: network, IP: net.ParseIP("10.0.1.10"),
	})))
	wait(must(client.Server.ChangeProtection(ctx, made.Server, protectedServer(true))))
	return made.Server
}

func createBalancer(server *hcloud.Server, network *hcloud.Network) *hcloud.LoadBalancer {
	made := must(client.LoadBalancer.Create(ctx, hcloud.LoadBalancerCreateOpts{
		Name: "c", LoadBalancerType: &hcloud.LoadBalancerType{Name: "lb11"}, Location: &hcloud.Location{Name: "fsn1"},
		Algorithm: &hcloud.LoadBalancerAlgorithm{Type: hcloud.LoadBalancerAlgorithmTypeLeastConnections}, Labels: labels,
	}))
	wait(made.Action)
	balancer := made.LoadBalancer
	wait(must(client.LoadBalancer.ChangeProtection(ctx, balancer, protectedBalancer(true))))
	wait(must(client.LoadBalancer.AttachToNetwork(ctx, balancer, hcloud.LoadBalancerAttachToNetworkOpts{
		Network: network, IP: net.ParseIP("10.0.1.2"),
	})))
	wait(must(client.LoadBalancer.EnablePublicInterface(ctx, balancer)))
	wait(must(client.LoadBalancer.AddService(ctx, balancer, hcloud.LoadBalancerAddServiceOpts{
		Protocol: hcloud.LoadBalancerServiceProtocolTCP, ListenPort: hcloud.Ptr(443), DestinationPort: hcloud.Ptr(443),
		Proxyprotocol: hcloud.Ptr(false), HealthCheck: &hcloud.LoadBalancerAddServiceOptsHealthCheck{
			Protocol: hcloud.LoadBalancerServiceProtocolTCP, Port: hcloud.Ptr(443), Retries: hcloud.Ptr(2),
			Interval: hcloud.Ptr(5 * time.Second), Timeout: hcloud.Ptr(3 * time.Second),
		},
	})))
	wait(must(client.LoadBalancer.UpdateService(ctx, balancer, 443, hcloud.LoadBalancerUpdateServiceOpts{
		Proxyprotocol: hcloud.Ptr(true),
	})))
	wait(must(client.LoadBalancer.AddServerTarget(ctx, balancer, hcloud.LoadBalancerAddServerTargetOpts{
		Server: server, UsePrivateIP: hcloud.Ptr(true),
	})))
	return balancer
}

func read(
	server *hcloud.Server, balancer *hcloud.LoadBalancer, network *hcloud.Network,
	firewall *hcloud.Firewall, group *hcloud.PlacementGroup, key *hcloud.SSHKey,
) told {
	server = must(client.Server.Get(ctx, fmt.Sprint(server.ID)))
	balancer = must(client.LoadBalancer.GetByName(ctx, balancer.Name))
	network = must(client.Network.GetByID(ctx, network.ID))
	firewall = must(client.Firewall.GetByName(ctx, firewall.Name))
	group = must(client.PlacementGroup.GetByName(ctx, group.Name))
	key = must(client.SSHKey.GetByName(ctx, key.Name))
	service := balancer.Services[0]
	return told{
		"server": told{
			"name": server.Name, "status": server.Status, "type": server.ServerType.Name, "image": server.Image.Name,
			"location": server.Location.Name, "labels": server.Labels, "protected": server.Protection.Delete,
			"private": server.PrivateNet[0].IP.String(), "in": server.PrivateNet[0].Network.ID == network.ID,
			"mac":  len(must2(net.ParseMAC(server.PrivateNet[0].MACAddress))),
			"ipv4": server.PublicNet.IPv4.IP.String(), "ipv6": server.PublicNet.IPv6.Network.String(),
			"walled": server.PublicNet.Firewalls[0].Firewall.ID == firewall.ID, "group": server.PlacementGroup.Name,
		},
		"balancer": told{
			"type": balancer.LoadBalancerType.Name, "algorithm": balancer.Algorithm.Type,
			"private": balancer.PrivateNet[0].IP.String(),
			"ipv4":    balancer.PublicNet.IPv4.IP.String(), "ipv6": balancer.PublicNet.IPv6.IP.String(),
			"public": balancer.PublicNet.Enabled,
			"ports":  []int{service.ListenPort, service.DestinationPort, service.HealthCheck.Port},
			"proxy":  service.Proxyprotocol,
			"every":  service.HealthCheck.Interval.String(), "targets": balancer.Targets[0].Server.Server.ID == server.ID,
			"privately": balancer.Targets[0].UsePrivateIP, "protected": balancer.Protection.Delete,
		},
		"network": told{
			"range": network.IPRange.String(), "subnet": network.Subnets[0].IPRange.String(),
			"zone":    network.Subnets[0].NetworkZone,
			"gateway": network.Subnets[0].Gateway.String(), "servers": len(network.Servers),
			"balancers": len(network.LoadBalancers),
		},
		"firewall": told{
			"ports":   []string{*firewall.Rules[0].Port, *firewall.Rules[1].Port},
			"from":    firewall.Rules[0].SourceIPs[0].String(),
			"applied": firewall.AppliedTo[0].Server.ID == server.ID,
		},
		"group": told{"type": group.Type, "servers": len(group.Servers)},
		"key":   told{"public": key.PublicKey, "fingerprint": len(key.Fingerprint)},
	}
}

// What the API refuses while the cluster is there, and leaves it as it is.
func refused() told {
	server := must(client.Server.GetByName(ctx, "c-cp-1"))
	balancer := must(client.LoadBalancer.GetByName(ctx, "c"))
	network := must(client.Network.GetByName(ctx, "c"))
	firewall := must(client.Firewall.GetByName(ctx, "c"))
	_, _, deleted := client.Server.DeleteWithResult(ctx, server)
	_, _, balancerDeleted := client.LoadBalancer.DeleteWithResult(ctx, balancer)
	_, networkDeleted := client.Network.Delete(ctx, network)
	_, firewallDeleted := client.Firewall.Delete(ctx, firewall)
	_, _, again := client.Server.AttachToNetwork(ctx, server, hcloud.ServerAttachToNetworkOpts{Network: network})
	_, _, subnetDeleted := client.Network.DeleteSubnet(ctx, network, hcloud.NetworkDeleteSubnetOpts{Subnet: subnet})
	_, _, applied := client.Firewall.ApplyResources(ctx, firewall, of(server))
	_, _, targeted := client.LoadBalancer.AddServerTarget(ctx, balancer, hcloud.LoadBalancerAddServerTargetOpts{
		Server: server,
	})
	_, _, named := client.Network.Create(ctx, hcloud.NetworkCreateOpts{Name: "c", IPRange: cidr("10.0.0.0/16")})
	_, _, typed := client.LoadBalancer.Create(ctx, hcloud.LoadBalancerCreateOpts{
		Name: "d", LoadBalancerType: &hcloud.LoadBalancerType{Name: "lb99"}, Location: &hcloud.Location{Name: "fsn1"},
	})
	stranger := hcloud.NewClient(hcloud.WithEndpoint(os.Getenv("HCLOUD_ENDPOINT")), hcloud.WithToken("another"))
	_, _, strange := stranger.Server.GetByName(ctx, "c-cp-1")
	nobody, _, err := client.Server.GetByID(ctx, 1)
	return told{
		"delete server": code(deleted), "delete balancer": code(balancerDeleted), "delete network": code(networkDeleted),
		"delete firewall": code(firewallDeleted), "attach again": code(again), "delete subnet": code(subnetDeleted),
		"apply again": code(applied), "target again": code(targeted), "name again": code(named), "no such type": code(typed),
		"another token": code(strange), "nobody is found": nobody == nil && err == nil,
	}
}

func remove() told {
	server := must(client.Server.GetByName(ctx, "c-cp-1"))
	balancer := must(client.LoadBalancer.GetByName(ctx, "c"))
	network := must(client.Network.GetByName(ctx, "c"))
	firewall := must(client.Firewall.GetByName(ctx, "c"))
	wait(must(client.LoadBalancer.RemoveServerTarget(ctx, balancer, server)))
	wait(must(client.LoadBalancer.DeleteService(ctx, balancer, 443)))
	wait(must(client.LoadBalancer.DetachFromNetwork(ctx, balancer, hcloud.LoadBalancerDetachFromNetworkOpts{
		Network: network,
	})))
	wait(must(client.LoadBalancer.ChangeProtection(ctx, balancer, protectedBalancer(false))))
	wait(must(client.LoadBalancer.DeleteWithResult(ctx, balancer)).Action)
	wait(must(client.Firewall.RemoveResources(ctx, firewall, of(server)))...)
	wait(must(client.Firewall.ApplyResources(ctx, firewall, of(server)))...)
	wait(must(client.Server.ChangeProtection(ctx, server, protectedServer(false))))
	wait(must(client.Server.Shutdown(ctx, server)))
	status := must(client.Server.GetByID(ctx, server.ID)).Status
	wait(must(client.Server.DeleteWithResult(ctx, server)).Action)
	done(client.Firewall.Delete(ctx, firewall))
	wait(must(client.Network.DeleteSubnet(ctx, network, hcloud.NetworkDeleteSubnetOpts{Subnet: subnet})))
	wait(must(client.Network.ChangeProtection(ctx, network, protectedNetwork(false))))
	done(client.Network.Delete(ctx, network))
	done(client.PlacementGroup.Delete(ctx, must(client.PlacementGroup.GetByName(ctx, "c-cp"))))
	done(client.SSHKey.Delete(ctx, must(client.SSHKey.GetByName(ctx, "c-ops"))))
	return told{"before it went": status, "servers": len(must2(client.Server.All(ctx)))}
}

func protectedServer(yes bool) hcloud.ServerChangeProtectionOpts {
	return hcloud.ServerChangeProtectionOpts{Delete: &yes, Rebuild: &yes}
}

func protectedBalancer(yes bool) hcloud.LoadBalancerChangeProtectionOpts {
	return hcloud.LoadBalancerChangeProtectionOpts{Delete: &yes}
}

func protectedNetwork(yes bool) hcloud.NetworkChangeProtectionOpts {
	return hcloud.NetworkChangeProtectionOpts{Delete: &yes}
}

func rule(port string) hcloud.FirewallRule {
	return hcloud.FirewallRule{
		Direction: hcloud.FirewallRuleDirectionIn, Protocol: hcloud.FirewallRuleProtocolTCP, Port: &port,
		SourceIPs: []net.IPNet{*cidr("192.0.2.7/32")}, Description: hcloud.Ptr(port),
	}
}

func of(server *hcloud.Server) []hcloud.FirewallResource {
	return []hcloud.FirewallResource{{
		Type: hcloud.FirewallResourceTypeServer, Server: &hcloud.FirewallResourceServer{ID: server.ID},
	}}
}

func cidr(text string) *net.IPNet {
	_, network, err := net.ParseCIDR(text)
	done(nil, err)
	return network
}

func wait(actions ...*hcloud.Action) {
	if len(actions) == 0 {
		panic("there is no action to wait for")
	}
	for _, action := range actions {
		if action.Status != hcloud.ActionStatusRunning {
			panic(fmt.Sprintf("%s is %s before anybody waits", action.Command, action.Status))
		}
	}
	done(nil, client.Action.WaitFor(ctx, actions...))
}

func code(err error) string {
	if known, is := err.(hcloud.Error); is {
		return string(known.Code)
	}
	return fmt.Sprint(err)
}

func must[T any](one T, _ *hcloud.Response, err error) T {
	return must2(one, err)
}

func must2[T any](one T, err error) T {
	done(nil, err)
	return one
}

func done(_ *hcloud.Response, err error) {
	if err != nil {
		panic(err)
	}
}
