import { absent, type Architecture, judged, numberOn, refused } from "../../../src/sandbox/internal/runtime/Syscalls.ts"
import type { Input } from "../../../src/sandbox/SandboxPolicy.ts"

/** One attempt. */
export interface Attack {
  /** What it does; the test says that it is blocked. */
  readonly name: string
  /** Perl that calls `reached` when it got through, and otherwise ends or dies. */
  readonly program: string
  readonly policy?: Input
  /** What a machine may lack, so that the attack fails even where nothing confines it. */
  readonly needs?: string
  /** The attack lives on what is inherited: only this process has the variables, they are not handed over. */
  readonly ambient?: true
  /** Bombs that are stopped by killing everything. */
  readonly endsWith?: "memory" | "timeout" | "output"
}

const architecture = process.arch as Architecture
const number = (name: string) =>
  numberOn(architecture, refused[name] ?? absent[name] ?? judged[name as keyof typeof judged])

/** A system call that must succeed for the attack to have got through. */
const call = (name: string, ...args: ReadonlyArray<string>) =>
  `my @a = (${args.join(", ")}); reached() if syscall(${number(name) ?? -1}, @a) != -1;`

/** A call with arguments that make no sense: whoever may make it is told so, whoever may not is told that. */
const judgedCall = (name: string, ...args: ReadonlyArray<string>) =>
  `my @a = (${args.join(", ")}); syscall(${
    number(name) ?? -1
  }, @a); reached() unless $!{EPERM} || $!{EACCES} || $!{ENOSYS};`

const newUser = 0x10000000
const newMount = 0x00020000

/** Everything mounted from here on stays with the attacker, also where nothing confines it. */
const aside = `syscall(${number("unshare")}, ${newMount}); my @p = ("none", "/", 0, ${0x4000 | 0x40000}, 0); syscall(${
  number("mount")
}, @p);`

const connectTo = (family: string, address: string) =>
  `socket(S, ${family}, SOCK_STREAM, 0) && connect(S, ${address}) or exit; sysread S, my $said, 100; reached() if $said eq $W{CANARY};`

const readFile = (where: string) => `open F, "<", ${where} or exit; reached() if <F> =~ /$W{CANARY}/;`
const create = (where: string) => `open F, ">", ${where} or exit; close F; unlink ${where}; reached();`
/** Opens for writing what must not be written to, and writes nothing. */
const openForWriting = (where: string) => `sysopen F, "${where}", O_WRONLY or exit; reached();`
const fill = (where: string, mebibytes: number) =>
  `my $full = 0; open F, ">", ${where} or exit; for (1..${mebibytes}) { (syswrite F, "x" x 1048576) == 1048576 or $full = 1 }
   close F; unlink ${where}; reached() unless $full;`

const files: ReadonlyArray<Attack> = [
  { name: "reading a file in the home directory", program: readFile(`$W{HOME_FILE}`) },
  { name: "reading a file in the host's /tmp", program: readFile(`$W{TMP_FILE}`) },
  {
    name: "reading a host's file by climbing out of the working directory",
    program: readFile(`("../" x 40) . $W{HOME_FILE}`)
  },
  {
    name: "reading a host's file through the root of the parent",
    program: readFile(`"/proc/" . getppid . "/root$W{HOME_FILE}"`)
  },
  {
    name: "reading a host's file through a symbolic link in the workspace",
    program: `symlink $W{HOME_FILE}, "link"; ${readFile(`"link"`)}`
  },
  {
    name: "reading the host's password hashes",
    program: `open F, "<", "/etc/shadow" or exit; reached() if <F> =~ /:/;`
  },
  { name: "listing the host's users", program: `open F, "<", "/etc/passwd"; reached() if <F> =~ m{:/root:};` },
  { name: "listing the host's state directories", program: `reached() if -d "/var/lib" || -d "/root" || -d "/home";` },
  { name: "changing the system's programs", program: create(`"/usr/bin/.smithers-$W{ID}"`) },
  { name: "changing the configuration in /etc", program: create(`"/etc/.smithers-$W{ID}"`) },
  { name: "writing to the root directory", program: create(`"/.smithers-$W{ID}"`) },
  { name: "writing to /dev", program: create(`"/dev/.smithers-$W{ID}"`) },
  { name: "making a device", program: `system("mknod", "device", "c", "1", "3") == 0 and reached();` },
  { name: "giving a file to root", program: `open F, ">", "f"; close F; chown(0, 0, "f") and reached();` },
  {
    name: "opening /proc/sys/kernel/core_pattern for writing",
    program: openForWriting("/proc/sys/kernel/core_pattern")
  },
  { name: "opening /proc/sys/kernel/hostname for writing", program: openForWriting("/proc/sys/kernel/hostname") },
  {
    name: "opening /proc/sysrq-trigger for writing",
    program: openForWriting("/proc/sysrq-trigger"),
    needs: "CONFIG_MAGIC_SYSRQ"
  },
  { name: "finding /sys", program: `reached() if -d "/sys/kernel";` },
  {
    name: "opening a setting in /sys for writing",
    program:
      `my ($f) = grep { -e } map { "/sys/$_" } qw(kernel/profiling kernel/mm/transparent_hugepage/enabled kernel/rcu_expedited);
      sysopen F, $f, O_WRONLY or exit; reached();`,
    needs: "a setting in /sys"
  },
  {
    name: "taking a handle of a file",
    program: `my $handle = pack("II", 128, 0) . "\\0" x 128; my $mount = pack("i", 0);
      ${call("name_to_handle_at", "-100", `"/usr"`, "$handle", "$mount", "0")}`,
    needs: "file handles"
  }
]

const processes: ReadonlyArray<Attack> = [
  {
    name: "reading the environment of the first process",
    program: `open F, "<", "/proc/1/environ" or exit; reached() if <F> =~ /=/;`,
    needs: "environment of process 1"
  },
  {
    name: "reading the environment of a host's process",
    program:
      `for (glob "/proc/[0-9]*/environ") { next if $_ eq "/proc/$$/environ"; open F, "<", $_ or next; local $/; reached() if (<F> // "") =~ /VICTIM=$W{CANARY}/ }`
  },
  {
    name: "inheriting the service's environment",
    ambient: true,
    program: `reached() if ($ENV{SMITHERS_WORLD_CANARY} // "") =~ /canary/;`
  },
  { name: "seeing a host's process", program: `reached() if -d "/proc/$W{VICTIM_PID}";` },
  { name: "sending a signal to a host's process", program: `kill(0, $W{VICTIM_PID}) and reached();` },
  // PTRACE_SEIZE attaches without stopping, and ends with the attacker.
  { name: "tracing a host's process", program: call("ptrace", "0x4206", "$W{VICTIM_PID} + 0", "0", "0") },
  {
    name: "tracing the parent",
    program: `my $parent = $$; pipe R, W; if (!fork) { ${
      call("ptrace", "0x4206", "$parent + 0", "0", "0")
    } exit } wait;`
  },
  {
    name: "tracing a child of its own",
    program: `my $child = fork // exit; if (!$child) { select undef, undef, undef, 9; exit }
      my $got = syscall(${number("ptrace")}, 0x4206, $child, 0, 0); kill 9, $child; wait; reached() if $got != -1;`
  },
  {
    name: "reading memory of a process",
    program: `my ($from, $to) = ("x" x 8, "y" x 8); my @v = map { pack "JJ", unpack("J", pack("p", $_)), 8 } $to, $from;
      ${call("process_vm_readv", "$$ + 0", "$v[0]", "1", "$v[1]", "1", "0")}`
  },
  {
    name: "taking a descriptor of a process",
    program: `my $p = syscall(434, $$ + 0, 0); $p >= 0 or exit; ${call("pidfd_getfd", "$p", "1", "0")}`,
    needs: "pidfd"
  },
  {
    name: "finding descriptors that the service left open",
    program:
      `for (3..1000) { my $to = readlink "/proc/self/fd/$_" or next; reached() if $to ne "/dev/null" && $to ne "/dev/urandom" }`
  },
  {
    name: "hiding from the kernel when memory is short",
    program: `open F, ">", "/proc/self/oom_score_adj" or exit; syswrite(F, "-900") and reached();`,
    needs: "CAP_SYS_RESOURCE"
  },
  { name: "taking precedence over the host's processes", program: `setpriority(0, 0, -10) and reached();` },
  {
    name: "taking the processor in real time",
    program: `system("chrt -f 1 true 2>/dev/null") == 0 and reached();`,
    needs: "real-time scheduling"
  },
  {
    name: "leaving the cores it was given",
    policy: { cpuLimit: 1 },
    program: `my $all = pack("Q*", (~0) x 16); syscall(${number("sched_setaffinity")}, 0, length $all, $all);
      open F, "<", "/proc/self/status"; local $/; reached() if <F> =~ /Cpus_allowed_list:\\s*\\d+[-,]/;`,
    needs: "two cores"
  }
]

const namespaces: ReadonlyArray<Attack> = [
  { name: "making a user namespace by unshare", program: call("unshare", String(newUser)), needs: "user namespaces" },
  {
    name: "making a user namespace by clone",
    program: `my $pid = syscall(${number("clone")}, ${
      newUser | 17
    }, 0, 0, 0, 0); if ($pid == 0) { exec "/bin/true" } wait; reached() if $pid > 0;`,
    needs: "user namespaces"
  },
  {
    name: "making a user namespace by clone3",
    program: `my $args = pack("Q11", ${newUser}, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0); my $pid = syscall(435, $args, 88);
      if ($pid == 0) { exec "/bin/true" } wait; reached() if $pid > 0;`,
    needs: "clone3"
  },
  { name: "making a mount namespace", program: call("unshare", String(newMount)) },
  { name: "making a network namespace", program: call("unshare", String(0x40000000)) },
  {
    name: "joining a namespace of the parent",
    program: `open F, "<", "/proc/" . getppid . "/ns/uts" or exit; ${call("setns", "fileno F", "0")}`
  },
  {
    name: "mounting a file system",
    program: `${aside} mkdir "m"; ${call("mount", `"none"`, `"m"`, `"tmpfs"`, "0", "0")}`
  },
  {
    name: "mounting by the new interface",
    program: call("fsopen", `"tmpfs"`, "0"),
    needs: "fsopen"
  },
  {
    name: "making /usr writable again",
    program: `${aside} my @b = ("/usr", "/usr", "none", 4096, 0); syscall(${number("mount")}, @b); ${
      call("mount", `"none"`, `"/usr"`, `"none"`, String(0x20 | 0x1000), "0")
    }`
  },
  { name: "unmounting /proc", program: `${aside} ${call("umount2", `"/proc"`, "2")}` },
  { name: "changing the root directory", program: call("chroot", `"."`) }
]

const kernel: ReadonlyArray<Attack> = [
  {
    name: "putting a key into a keyring",
    program: call("add_key", `"user"`, `"smithers"`, `"x"`, "1", "-2"),
    needs: "keyrings"
  },
  { name: "reading the session keyring", program: call("keyctl", "6", "-3", "0", "0", "0"), needs: "keyrings" },
  {
    name: "loading into the kernel by bpf",
    program: `my $attr = pack("I4", 2, 4, 4, 1) . "\\0" x 112; ${call("bpf", "0", "$attr", "length $attr")}`,
    needs: "bpf"
  },
  {
    name: "watching the kernel by perf",
    program: `my $attr = pack("I2Q", 1, 112, 0) . "\\0" x 96; ${
      call("perf_event_open", "$attr", "0", "-1", "-1", "0")
    }`,
    needs: "perf"
  },
  { name: "handling page faults by userfaultfd", program: call("userfaultfd", "0"), needs: "userfaultfd" },
  {
    name: "setting up an io_uring",
    program: `my $p = "\\0" x 120; ${call("io_uring_setup", "1", "$p")}`,
    needs: "io_uring"
  },
  { name: "making memory that no limit counts", program: call("memfd_create", `"m"`, "0") },
  {
    name: "making shared memory that no limit counts",
    program: `my $id = syscall(${number("shmget")}, 0, 4096, 01600); exit if $id == -1; shmctl($id, 0, 0); reached();`
  },
  // With neither time nor zone nothing is set, after permission was asked for.
  { name: "setting the clock", program: call("settimeofday", "0", "0") },
  {
    name: "adjusting the clock",
    program: `my $t = pack("I x4", 0x8000) . "\\0" x 240; ${judgedCall("adjtimex", "$t")}`,
    needs: "adjtimex"
  },
  {
    name: "renaming the machine",
    program: `my $n = \`hostname\`; chomp $n; my $was = $n; ${call("sethostname", "$was", "length $was")}`
  },
  { name: "rebooting", program: judgedCall("reboot", "0", "0", "0", "0") },
  { name: "loading a module", program: judgedCall("finit_module", "-1", `""`, "0"), needs: "modules" },
  { name: "replacing the kernel", program: judgedCall("kexec_load", "0", "0", "0", "0xffff"), needs: "kexec" },
  { name: "adding swap", program: judgedCall("swapon", `"/nowhere"`, "0"), needs: "swap" },
  { name: "reading the kernel's log", program: call("syslog", "10", "0", "0") },
  {
    name: "typing into a terminal by TIOCSTI",
    program: `use POSIX (); POSIX::setsid() if getpgrp != $$; if (my $p = fork) { wait; exit } POSIX::setsid();
      open M, "+<", "/dev/ptmx" or exit; my $n = pack("i", 0); ioctl(M, 0x40045431, $n) or exit; ioctl(M, 0x80045430, $n) or exit;
      open T, "+<", "/dev/pts/" . unpack("i", $n) or exit; my $c = "x"; ioctl(T, 0x5412, $c) and reached();`
  },
  { name: "having core dumps written", program: `system("/bin/sh", "-c", "ulimit -c unlimited") == 0 and reached();` },
  {
    name: "raising its limit of open files",
    policy: { openFiles: 256 },
    program: `system("/bin/sh", "-c", "ulimit -n 4096") == 0 and reached();`
  }
]

const network: ReadonlyArray<Attack> = [
  {
    name: "connecting to a listener on loopback",
    program: connectTo("PF_INET", `pack_sockaddr_in($W{TCP4}, inet_aton("127.0.0.1"))`)
  },
  {
    name: "connecting to a listener on loopback over IPv6",
    program: connectTo("PF_INET6", `pack_sockaddr_in6($W{TCP6}, Socket::inet_pton(PF_INET6, "::1"))`),
    needs: "IPv6"
  },
  {
    name: "connecting to an address in another network namespace",
    program: connectTo("PF_INET", `pack_sockaddr_in($W{FAR_PORT}, inet_aton($W{FAR}))`),
    needs: "ip netns"
  },
  {
    name: "asking a name server",
    program:
      `socket(S, PF_INET, SOCK_DGRAM, 0); my $q = pack("n6", 7, 256, 1, 0, 0, 0) . "\\4host\\4test\\0" . pack("n2", 1, 1);
      send(S, $q, 0, pack_sockaddr_in($W{UDP}, inet_aton("127.0.0.1"))) or exit;
      my $r = ""; vec($r, fileno S, 1) = 1; select($r, undef, undef, 1) or exit; recv(S, my $a, 512, 0); reached() if unpack("n", $a) == 7;`
  },
  { name: "connecting to a unix socket in /tmp", program: connectTo("PF_UNIX", `pack_sockaddr_un($W{UNIX})`) },
  {
    name: "connecting to the socket of a container engine in /run",
    program: connectTo("PF_UNIX", `pack_sockaddr_un($W{DOCKER})`)
  },
  {
    name: "connecting to the ssh agent of the service",
    ambient: true,
    program:
      `my $path = $ENV{SSH_AUTH_SOCK} or exit; socket(S, PF_UNIX, SOCK_STREAM, 0) && connect(S, pack_sockaddr_un($path)) and reached();`
  },
  {
    name: "connecting to an abstract unix socket",
    program: connectTo("PF_UNIX", `pack_sockaddr_un("\\0$W{ABSTRACT}")`)
  },
  { name: "opening a raw socket", program: `socket(S, PF_INET, SOCK_RAW, 1) and reached();` },
  { name: "opening a packet socket", program: `socket(S, 17, SOCK_RAW, 0) and reached();`, needs: "packet sockets" },
  {
    name: "opening a socket to the hypervisor",
    program: `socket(S, 40, SOCK_STREAM, 0) and reached();`,
    needs: "vsock"
  },
  {
    name: "opening a socket to the kernel's ciphers",
    program: `socket(S, 38, SOCK_SEQPACKET, 0) and reached();`,
    needs: "AF_ALG"
  },
  { name: "listening to the kernel's device events", program: `socket(S, 16, SOCK_RAW, 15) and reached();` }
]

/** Attempts to use more than is due; where nothing stops them they stop themselves. */
const bombs: ReadonlyArray<Attack> = [
  {
    name: "a fork bomb",
    policy: { pidsLimit: 64 },
    program:
      `my @c; for (1..300) { my $c = fork; last unless defined $c; if (!$c) { select undef, undef, undef, 60; exit } push @c, $c }
      kill 9, @c; 1 while wait != -1; reached() if @c == 300;`
  },
  {
    name: "a process that allocates beyond the memory limit",
    policy: { memoryLimit: "64m" },
    program: `my $n = 256 << 20; my $x = "x" x $n; reached() if length $x;`
  },
  {
    name: "processes that allocate beyond the memory limit together",
    policy: { memoryLimit: "64m" },
    endsWith: "memory",
    program:
      `my @c; for (1..6) { my $c = fork; if (!$c) { my $n = 20 << 20; my $x = "x" x $n; select undef, undef, undef, 60; exit } push @c, $c }
      select undef, undef, undef, 2; my $alive = grep { kill 0, $_ } @c; kill 9, @c; 1 while wait != -1; reached() if $alive == 6;`
  },
  {
    name: "a file that fills the workspace",
    policy: { diskLimit: "8m", fileSize: "8m" },
    program:
      `$SIG{XFSZ} = "IGNORE"; for my $i (1..4) { open F, ">", "f$i"; for (1..4) { syswrite(F, "x" x 1048576) == 1048576 or exit } } unlink glob "f*"; reached();`
  },
  {
    name: "a file that fills /tmp",
    policy: { diskLimit: "8m" },
    program:
      `$SIG{XFSZ} = "IGNORE"; for my $i (1..4) { open F, ">", "/tmp/$W{ID}.$i"; for (1..4) { syswrite(F, "x" x 1048576) == 1048576 or exit } } unlink glob "/tmp/$W{ID}.*"; reached();`
  },
  {
    name: "a file that fills /dev/shm",
    policy: { diskLimit: "8m" },
    program:
      `$SIG{XFSZ} = "IGNORE"; for my $i (1..4) { open F, ">", "/dev/shm/$W{ID}.$i" or exit; for (1..4) { syswrite(F, "x" x 1048576) == 1048576 or exit } } unlink glob "/dev/shm/$W{ID}.*"; reached();`
  },
  { name: "a file beyond the file size", policy: { fileSize: "1m" }, program: fill(`"f"`, 2) },
  {
    name: "a sparse file beyond the file size",
    policy: { fileSize: "1m" },
    program: `open F, ">", "f"; truncate(F, 1 << 30) and reached();`
  },
  {
    name: "opening more files than is allowed",
    policy: { openFiles: 128 },
    program: `my @f; for (1..400) { open my $f, "<", "/dev/null" or last; push @f, $f } reached() if @f == 400;`
  },
  {
    name: "more output than is allowed",
    policy: { maxOutputBytes: "256k" },
    endsWith: "output",
    program: `print "x" x 65536 for 1..32; reached();`
  }
]

export const attacks: ReadonlyArray<Attack> = [...files, ...processes, ...namespaces, ...kernel, ...network, ...bombs]

/** The whole program of an attack; the values that it needs of the world stand in its text. */
export const perlOf = (attack: Attack, variables: Readonly<Record<string, string>>): string =>
  [
    `use Socket qw(:DEFAULT PF_INET6 pack_sockaddr_in6 inet_pton); use Fcntl; use Errno; $| = 1;`,
    `my %W = (${Object.entries(variables).map(([name, value]) => `${name} => '${value}'`).join(", ")});`,
    `sub reached { print "\\nREACHED\\n"; exit } print "TRIED\\n";`,
    attack.program
  ].join("\n")
