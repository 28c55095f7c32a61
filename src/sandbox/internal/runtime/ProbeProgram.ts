import { type Limits } from "../../SandboxPolicy.ts"
import { type Architecture, architectures, numberOn, refused } from "./Syscalls.ts"

/** Where the canaries are. */
export interface Targets {
  readonly word: string
  readonly file: string
  readonly socket: string
  readonly port: number
  readonly pid: number
}

/**
 * A program for perl that tries, from inside, what a sandbox must not allow, each in a form that does no harm where it is
 * allowed. Tells each finding as a line: `@`, control, 1 when the control held, what was seen.
 */
export const probeProgram = (targets: Targets, limits: Limits): string => {
  const arch = (Object.hasOwn(architectures, process.arch) ? process.arch : "x64") as Architecture
  const number = (name: string) => numberOn(arch, refused[name]!)
  const unshare = arch === "x64" ? 272 : 97
  return `
use strict; use Socket; use Fcntl; use Errno; $| = 1; $SIG{XFSZ} = "IGNORE";
my ($word, $file, $socket, $port, $pid) = ("${targets.word}", "${targets.file}", "${targets.socket}", ${targets.port}, ${targets.pid});
sub tell_ { my ($control, $held, $seen) = @_; $seen =~ s/[\\t\\n]/ /g; print "\\n@\\t$control\\t", ($held ? 1 : 0), "\\t$seen\\n" }
sub refused_ { my ($control, $got, $what) = @_; my $why = "$!"; tell_($control, $got == -1, $got == -1 ? "$what: $why" : "$what succeeds") }
sub slurp { open my $f, "<", $_[0] or return undef; local $/; scalar <$f> }

my $said = slurp($file);
tell_("files", ($said // "") !~ /$word/, defined $said ? "the canary can be read" : "the canary file: $!");
sub creates { my $at = "$_[0]/.smithers-probe-$$"; my $got = sysopen my $f, $at, O_WRONLY | O_CREAT | O_EXCL; unlink $at if $got; $got }
my @open = grep { creates($_) } "", "/usr", "/etc", "/dev";
tell_("system", !@open, @open ? "@{[map { $_ || '/' } @open]} can be written to" : "/, /usr, /etc and /dev are readable only");

my @seen = grep { (slurp($_) // "") =~ /$word/ } glob "/proc/[0-9]*/environ";
tell_("environment", !@seen, @seen ? "the canary is in $seen[0]" : "no process has the canary in its environment");
tell_("processes", !-d "/proc/$pid", -d "/proc/$pid" ? "process $pid of the host can be seen" : "process $pid of the host cannot be seen");

my ($s, $u); my $tcp = socket($s, PF_INET, SOCK_STREAM, 0) && connect($s, pack_sockaddr_in($port, inet_aton("127.0.0.1")));
tell_("network", !$tcp, $tcp ? "the host's loopback answers at port $port" : "the host's loopback at port $port: $!");
my $unix = socket($u, PF_UNIX, SOCK_STREAM, 0) && connect($u, pack_sockaddr_un($socket));
tell_("unix sockets", !$unix, $unix ? "a socket of the host answers" : "a socket of the host: $!");
my $listed = (slurp("/proc/net/unix") // "") =~ /\\Q$socket\\E/;
tell_("abstract sockets", !$listed, $listed ? "the host's sockets are listed" : "none of the host's sockets is in the namespace");

{ my $n = syscall(${number("settimeofday")}, 0, 0); refused_("clock", $n, "setting the clock") }
{ my $type = "tmpfs"; my $n = syscall(430, $type, 0); refused_("mounts", $n, "opening a file system to mount") }
{
  my $child = fork // 0; my $n = -1;
  if (!$child) { select undef, undef, undef, 20; exit }
  $n = syscall(${
    number("ptrace")
  }, 0x4206, $child, 0, 0); refused_("tracing", $n, "tracing a child"); kill 9, $child; wait;
}
{
  pipe my $r, my $w; my $child = fork // 0;
  if (!$child) { my $n = syscall(${unshare}, 0x10000000); syswrite $w, $n == -1 ? "$!" : "made"; exit }
  sysread $r, my $got, 100; wait; tell_("nested namespaces", $got ne "made", "a user namespace within: $got");
}
{
  my $status = slurp("/proc/self/status"); my ($effective) = $status =~ /CapEff:\\s+(\\w+)/; my ($new) = $status =~ /NoNewPrivs:\\s+(\\d)/;
  tell_("privileges", $effective =~ /^0+$/ && $new, "capabilities $effective, no new privileges $new");
}
my ($core) = (slurp("/proc/self/limits") // "") =~ /core file size\\s+(\\S+\\s+\\S+)/; $core //= "unknown";
tell_("core dumps", scalar($core =~ /^0\\s+0$/), "limits of core files: $core");
{
  my @open; my $f; push @open, $f while @open < ${limits.openFiles + 16} && sysopen $f = undef, "/dev/null", O_RDONLY;
  my $n = @open; tell_("openFiles", $n <= ${limits.openFiles}, "$n files could be open, asked for ${limits.openFiles}");
}
{
  my ($n, $chunk) = (0, "x" x 65536);
  if (sysopen my $f, "probe", O_WRONLY | O_CREAT) { my $k; $n += $k while $n < ${limits.fileSize} + 1048576 && ($k = syswrite $f, $chunk) }
  unlink "probe"; tell_("fileSize", $n <= ${limits.fileSize}, "a file grew to $n bytes, asked for ${limits.fileSize}");
}
for my $place ("/workspace", "/tmp") {
  next unless -d $place; my ($n, $i, $chunk) = (0, 0, "x" x 65536);
  while ($n < ${limits.diskLimit} + 1048576 && $i < 64) {
    sysopen my $f, "$place/probe" . $i++, O_WRONLY | O_CREAT or last; my ($m, $k) = (0);
    while ($n < ${limits.diskLimit} + 1048576 && ($k = syswrite $f, $chunk)) { $n += $k; $m += $k } last unless $m;
  }
  unlink glob "$place/probe*"; tell_("diskLimit", $n <= ${limits.diskLimit}, "$place took $n bytes, asked for ${limits.diskLimit}");
}
{
  my @c; while (@c < ${
    limits.pidsLimit + 32
  }) { my $c = fork; last unless defined $c; if (!$c) { select undef, undef, undef, 60; exit } push @c, $c }
  my $n = @c + 1; kill 9, @c; 1 while wait != -1; tell_("pidsLimit", $n <= ${limits.pidsLimit}, "$n processes ran, asked for ${limits.pidsLimit}");
}
print "\\n@\\tend\\t1\\t\\n";
`
}

/**
 * Takes more than the memory limit by several processes, none of which takes more than it by itself; prints how many of
 * them survived. Whoever watches them has three seconds from when they hold it, however busy the machine is until then.
 */
export const memoryProbe = (limit: number): string => `
use strict; use Fcntl; $| = 1; pipe my $r, my $w; fcntl $r, F_SETFL, O_NONBLOCK; my (@c, %gone); my $n = int(${limit} * 0.3);
for (1..6) { my $c = fork; if (!$c) { my $x = "x" x $n; syswrite $w, "."; select undef, undef, undef, 60; exit } push @c, $c }
my ($told, $held) = (0, 0);
for (1..200) {
  select undef, undef, undef, 0.1; $told += sysread($r, my $some, 6) // 0;
  for (@c) { $gone{$_} = 1 if waitpid $_, 1 }
  last if keys %gone > 2 || $told + keys %gone >= 6 && ++$held > 30;
}
kill 9, @c; 1 while wait != -1; print 6 - keys %gone;
`

/** Takes more than the memory limit by one process. */
export const allocationProbe = (limit: number): string =>
  `my $n = int(${limit} * 1.5); my $x = "x" x $n; print length $x;`

/** Keeps processes busy for most of a second; prints how many cores they may choose from, and how many they used. */
export const processorProbe = (processes: number): string => `
use strict; open my $f, "<", "/proc/self/status"; my ($list) = join("", <$f>) =~ /Cpus_allowed_list:\\s*(\\S+)/;
my $cores = 0; for (split /,/, $list) { my ($from, $to) = split /-/; $cores += ($to // $from) - $from + 1 }
sub up { open my $f, "<", "/proc/uptime" or return 0; (split / /, <$f>)[0] }
my $from = up(); my @c; for (1..${processes}) { my $c = fork; if (!$c) { 1 while 1 } push @c, $c } select undef, undef, undef, 0.8;
kill 9, @c; 1 while wait != -1; my $took = up() - $from; $took = 0.8 if $took < 0.8;
my (undef, undef, $user, $system) = times; printf "%d %.2f\\n", $cores, ($user + $system) / $took;
`
