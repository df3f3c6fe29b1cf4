// The longer texts of `verso --help` and of its verbs: what does not fit on an option's line.
#pragma once

namespace verso::cli {

inline constexpr const char* about =
    "verso: fork() for memory.\n"
    "Takes snapshots of memory that is in use, forks them into writable children that share\n"
    "every untouched page, and rewinds. Start with `verso demo`; ask `verso doctor` what this\n"
    "machine offers.";

inline constexpr const char* demo_footer =
    "\nWhat happens: a writer runs SQLite transactions at full speed on a database that lives\n"
    "in a Region. Meanwhile snapshots are taken; child processes are forked from some of them\n"
    "(two from a child); each checks the database, writes to it, and proves that nobody else\n"
    "sees that. At the end the parent rewinds to the first snapshot and compares hashes. The\n"
    "same work is then done with fork(2). Every check is printed; the exit code is 0 only if\n"
    "all of them held.";

inline constexpr const char* bench_vm_footer =
    "\nHow long a guest stands still at a fork, what it gets done in the seconds after, how soon "
    "N\n"
    "children answer on their consoles and what their memory takes, by size of guest. Rivals, in\n"
    "the same run: QEMU's migrate to a file, its background-snapshot, booting, copies of a memory\n"
    "file, and one raw UFFDIO_WRITEPROTECT. As root, with qemu-system-x86_64 (and `cp`). Half an\n"
    "hour with the default values, on two processors. Everything is in a folder of this run's own\n"
    "in /dev/shm (or $TMPDIR) and is ended and removed with it, also after Ctrl-C.";

inline constexpr const char* explore_footer =
    "\nSCOPE is name=value,… of: kinds=A+SS (A SS SP HS HP FS FP, all), modes=sync (async plain\n"
    "messages), pages=1, threads=1, processes=1, areas=1, descriptors=1, steps=6, values=1,\n"
    "thp=0, fine=0, calls=…, without=…, events=… (lists are joined by +). RULES is a preset and\n"
    "what differs from it: 6.18,-prot_wp_writenotify,none_policy=protected. The names of the\n"
    "switches are in docs/mm.md. Every counterexample comes as litmus text and with a\n"
    "token for --replay. Exit code 3: nothing was found, and --memory did not suffice.\n"
    "docs/explore.md says more.";

inline constexpr const char* litmus_footer =
    "\ndocs/litmus.md has the language. Where NAME.expected stands beside NAME.litmus, the exit\n"
    "code says whether all verdicts are the expected ones; where not, whether none is Forbidden.";

inline constexpr const char* explain_footer =
    "\nThe text runs once, on the model of that kernel. Sleepers, halves of a migration and what\n"
    "the kernel does in the background are shown, too. docs/explain.md says how to read it.";

inline constexpr const char* swarm_footer =
    "\nEach seed draws a small world: processes with an engine of their own, writers, children,\n"
    "what the kernel does meanwhile, kills, refusals; and then every decision of the scheduler.\n"
    "The engine is the library's, unmodified; the kernel is the model of RULES: a preset (5.19,\n"
    "6.2, 6.18, ...) and what differs from it, as in `verso explore`. Nothing on this machine is\n"
    "touched. The first run that goes wrong ends it, is made smaller and is printed with\n"
    "`verso replay TOKEN`, which makes it again. Exit code 0: all held; 1: one did not.\n"
    "docs/swarm.md says what is checked and how to read the log.";

inline constexpr const char* replay_footer =
    "\nPrints every event with the memories' pages, one glyph each (· nothing, w writable,\n"
    "r read-only, p protected, s swapped, M migrating). Exit code 0: all held; 1: it went wrong.";

inline constexpr const char* vm_footer =
    "\n  verso vm run one --memory 256M -- qemu-system-x86_64 -accel tcg -nodefaults \\\n"
    "      -kernel vmlinuz -initrd initrd -append console=ttyS0\n"
    "  verso vm fork one two             two goes on from this moment, beside one\n"
    "  verso vm fork one two --ask 'uname -r' --answer 6.    … and say when it answered\n"
    "  verso vm snapshot one before      verso vm rewind one before\n"
    "\nQEMU is Debian's, unmodified; its memory is a memfd that Verso watches. Disks that the\n"
    "guest may write to must be qcow2 and given by -drive. State is in $XDG_RUNTIME_DIR/verso.\n"
    "\nfork --ask LINE types it on the child's console as soon as its guest runs; printed, the\n"
    "text of --answer is the answer. Most guests echo what is typed, so LINE must not have it.\n"
    "With --ask alone the first character printed is one (an echo will do); with --answer alone\n"
    "nothing is typed. A child that does not answer in a minute runs on, and the exit code is 1.\n"
    "docs/vm.md says how it works and what it does not do yet.";

inline constexpr const char* torture_footer =
    "\nEach instance goes on writing while it is snapshotted, forked (in its own process and in\n"
    "others), read through and rewound; children verify every byte, of one moment, and write and\n"
    "fork in turn. Meanwhile pages are compacted, migrated, swapped to a file made for the run,\n"
    "merged by KSM, hinted by the NUMA balancer and collapsed, each counted by the kernel. As\n"
    "root; without, what is not to be had is named. All settings are put back, also after\n"
    "Ctrl-C. What the machine cannot hold is refused. docs/torture.md says more.";

}  // namespace verso::cli
