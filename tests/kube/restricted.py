"""Restricted: the Pod Security Standard that the namespaces enforce, as findings, before a cluster says it.

https://kubernetes.io/docs/concepts/security/pod-security-standards/, baseline and restricted.
"""

from collections.abc import Iterator
from typing import Any

from tests.kube.findings import Finding
from tests.kube.pods import Pod

VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image"),
    *("persistentVolumeClaim", "projected", "secret"),
}
SYSCTLS = {
    *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"),
    *("net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
    *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"),
    *("net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
}
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
PROFILES = {"RuntimeDefault", "Localhost"}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def restricted(pod: Pod) -> Iterator[Finding]:
    """Give every rule that the pod breaks."""
    for says in _of_pod(pod):
        yield Finding(check="restricted", object=pod.owner, says=says)
    for container in pod.containers:
        for says in _of_container(container, pod):
            yield Finding(check="restricted", object=f"{pod.owner}/{container['name']}", says=says)


def _of_pod(pod: Pod) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(field):
            yield f"{field} is true"
    for volume in pod.spec.get("volumes") or []:
        for kind in volume.keys() - {"name"} - VOLUMES:
            yield f"the volume {volume['name']} is a {kind}"
    for sysctl in _context(pod.spec).get("sysctls") or []:
        if sysctl["name"] not in SYSCTLS:
            yield f"it sets {sysctl['name']}"
    for annotation, value in (pod.metadata.get("annotations") or {}).items():
        known = value == "runtime/default" or str(value).startswith("localhost/")
        if annotation.startswith("container.apparmor.security.beta.kubernetes.io/") and not known:
            yield f"its AppArmor is {value}"
    yield from _of_either(_context(pod.spec))


def _of_container(container: dict[str, Any], pod: Pod) -> Iterator[str]:
    context, outer = _context(container), _context(pod.spec)
    if context.get("privileged"):
        yield "it is privileged"
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if context.get("procMount", "Default") != "Default":
        yield "procMount is not Default"
    if context.get("runAsNonRoot", outer.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot is not true"
    if "seccompProfile" not in context and "seccompProfile" not in outer:
        yield "it has no seccompProfile"
    yield from _of_capabilities(context.get("capabilities") or {})
    yield from _of_hosts(container)
    yield from _of_either(context)


def _of_capabilities(capabilities: dict[str, list[str]]) -> Iterator[str]:
    if "ALL" not in (capabilities.get("drop") or []):
        yield "it does not drop ALL capabilities"
    for added in set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield f"it adds the capability {added}"


def _of_hosts(container: dict[str, Any]) -> Iterator[str]:
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield "it takes a port of its node"
    handlers = [container.get(probe) or {} for probe in PROBES]
    handlers += [handler or {} for handler in (container.get("lifecycle") or {}).values()]
    for handler in handlers:
        if any((handler.get(way) or {}).get("host") for way in ("httpGet", "tcpSocket")):
            yield "a probe or a hook goes to another host"


def _of_either(context: dict[str, Any]) -> Iterator[str]:
    # What is forbidden in a pod's security context as in a container's.
    if context.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if context.get("runAsNonRoot") is False:
        yield "runAsNonRoot is false"
    for field in ("seccompProfile", "appArmorProfile"):
        if field in context and (context[field] or {}).get("type") not in PROFILES:
            yield f"{field} is neither RuntimeDefault nor Localhost"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in SELINUX or selinux.get("user") or selinux.get("role"):
        yield "its SELinux options are its own"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield "it is a process of its host"


def _context(spec: dict[str, Any]) -> dict[str, Any]:
    return spec.get("securityContext") or {}
