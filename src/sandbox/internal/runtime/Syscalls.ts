/** The architectures the filter speaks for, with their names in the audit interface (linux/audit.h). */
export const architectures = { x64: 0xc000003e, arm64: 0xc00000b7 } as const
export type Architecture = keyof typeof architectures

/** Numbers on x86_64 (asm/unistd_64.h) and aarch64 (asm-generic/unistd.h); null where the call does not exist. */
type Numbers = readonly [x64: number | null, arm64: number | null]

/** Answered with EPERM, whatever the arguments. A sandbox has no use for them, and each has broken one before. */
export const refused: Readonly<Record<string, Numbers>> = {
  // Other processes.
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  pidfd_getfd: [438, 438],
  kcmp: [312, 272],
  // Mounts and roots.
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  swapon: [167, 224],
  swapoff: [168, 225],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  fanotify_init: [300, 262],
  // Handles reach files that no path of the sandbox reaches.
  open_by_handle_at: [304, 265],
  name_to_handle_at: [303, 264],
  // Keyrings are not namespaced.
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  // Programs for the kernel, and looks into it.
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  syslog: [103, 116],
  acct: [163, 89],
  reboot: [169, 142],
  ioperm: [173, null],
  iopl: [172, null],
  modify_ldt: [154, null],
  // The clock belongs to everybody.
  clock_settime: [227, 112],
  clock_adjtime: [305, 266],
  settimeofday: [164, 170],
  adjtimex: [159, 171],
  // The machine's name, terminals, namespaces.
  sethostname: [170, 161],
  setdomainname: [171, 162],
  vhangup: [153, 58],
  setns: [308, 268]
}

/** Answered with ENOSYS, so that programs fall back to what the filter can judge. */
export const absent: Readonly<Record<string, Numbers>> = {
  // Its flags lie in memory, where a filter cannot look; C libraries then use clone.
  clone3: [435, 435],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  // Memory that no limit of a process counts.
  memfd_secret: [447, 447],
  memfd_create: [319, 279],
  shmget: [29, 194]
}

/** Judged by their arguments. */
export const judged = {
  clone: [56, 220],
  unshare: [272, 97],
  ioctl: [16, 29],
  socket: [41, 198],
  socketpair: [53, 199],
  sched_setaffinity: [203, 122]
} as const satisfies Readonly<Record<string, Numbers>>

export const numberOn = (architecture: Architecture, [x64, arm64]: Numbers): number | null =>
  architecture === "x64" ? x64 : arm64
