import { PAUSE } from './app-image.ts';

/** How the Debian system in the virtual machine is set up, and where things lie in it. */

/** Mount point of the disk with this checkout's build, node and the peer. */
export const PAYLOAD = '/payload';
export const NODE = `${PAYLOAD}/node`;
export const AGENT = 'test-agent.service';
/** Ports in the machine: of the agent, and of a daemon under test. */
export const AGENT_PORT = 8000;
export const DAEMON_PORT = 9100;
/** Runtime handlers of containerd, by the cgroup driver they use. */
export const HANDLERS = { systemd: 'systemd', cgroupfs: 'cgroupfs' } as const;

const runtime = (name: string, isSystemd: boolean): string => `
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.${name}]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.${name}.options]
        SystemdCgroup = ${isSystemd}`;

/** By path below the root. */
export const SETTINGS: Readonly<Record<string, string>> = {
  '/etc/hostname': 'machine\n',
  '/etc/fstab': `LABEL=root / ext4 defaults 0 1\nLABEL=payload ${PAYLOAD} ext4 ro 0 0\n`,
  [`/etc/systemd/system/${AGENT}`]: `[Unit]
Description=Runs what the test on the host asks for
RequiresMountsFor=${PAYLOAD}
[Service]
ExecStart=${NODE} ${PAYLOAD}/dist/test/vm/agent.js
# What a command has started goes on when it is over.
KillMode=process
[Install]
WantedBy=multi-user.target
`,
  // The addresses that QEMU's user network gives its guest.
  '/etc/systemd/network/host.network': '[Match]\nName=en*\n[Network]\nAddress=10.0.2.15/24\nLinkLocalAddressing=no\n',
  '/etc/containerd/config.toml': `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "${HANDLERS.systemd}"${runtime(HANDLERS.systemd, true)}${runtime(HANDLERS.cgroupfs, false)}
`,
  '/etc/cni/net.d/pods.conflist': JSON.stringify({
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [{ type: 'bridge', bridge: 'pods0', isGateway: true, ipam: { type: 'host-local', subnet: '10.88.0.0/16' } }],
  }),
  '/etc/docker/daemon.json': JSON.stringify({ iptables: false }),
};
