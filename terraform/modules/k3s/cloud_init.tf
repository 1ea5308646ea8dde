# What a server does at its first start.
locals {
  of_all_files = [
    { path = "/usr/local/sbin/start-k3s", permissions = "0700", content = file("${path.module}/start-k3s") },
    { path = "/etc/rancher/k3s/token", permissions = "0600", content = var.token },
    # What `protect-kernel-defaults` wants to find.
    {
      path        = "/etc/sysctl.d/90-kubelet.conf"
      permissions = "0644"
      content     = join("\n", ["vm.panic_on_oom=0", "vm.overcommit_memory=1", "kernel.panic=10", "kernel.panic_on_oops=1", ""])
    },
    {
      path        = "/etc/ssh/sshd_config.d/10-keys.conf"
      permissions = "0644"
      content     = join("\n", ["PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password", "X11Forwarding no", ""])
    },
    # Security updates by themselves; the reboot that some need is kured's, one server after the other.
    {
      path        = "/etc/apt/apt.conf.d/20auto-upgrades"
      permissions = "0644"
      content     = join("\n", ["APT::Periodic::Update-Package-Lists \"1\";", "APT::Periodic::Unattended-Upgrade \"1\";", ""])
    },
    {
      path        = "/etc/apt/apt.conf.d/52no-reboot"
      permissions = "0644"
      content     = "Unattended-Upgrade::Automatic-Reboot \"false\";\n"
    },
  ]
  of_server_files = concat(
    [{ path = "/etc/rancher/k3s/audit.yaml", permissions = "0600", content = yamlencode(local.audit_policy) }],
    [for name, text in local.manifests : { path = "/var/lib/rancher/k3s/server/manifests/${name}", permissions = "0600", content = text }],
  )
  user_data = {
    for name, node in local.nodes : name => join("\n", ["#cloud-config", yamlencode({
      hostname          = name
      preserve_hostname = false
      package_update    = true
      packages          = ["unattended-upgrades", "curl"]
      write_files = concat(
        [{ path = "/etc/rancher/k3s/config.yaml", permissions = "0600", content = yamlencode(local.config[name]) }],
        local.of_all_files,
        node.role == "server" ? local.of_server_files : [],
      )
      runcmd = [
        ["sysctl", "--system"],
        ["systemctl", "restart", "ssh"],
        ["/usr/local/sbin/start-k3s", var.k3s_version, node.role, node.address],
      ]
    })])
  }
}
