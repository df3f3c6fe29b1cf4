// The program's order: head, numbers, constants and tables, pieces, the memory, the steps, the
// conditions, main.
#include "check/litmus/print_c/print_c.h"

#include <algorithm>

#include "check/litmus/print_c/conditions.h"
#include "check/litmus/print_c/pieces.h"
#include "check/litmus/print_c/steps.h"

namespace verso::check {
namespace {

using print_c::Plan;

std::string head(const Litmus& litmus, std::string_view name, bool threads) {
    std::string text = fmt::format("/* {}\n", litmus.title);
    for (const std::string& comment : litmus.comments) {
        text += fmt::format(" * {}\n", comment);
    }
    text += " *\n";
    Program bare = litmus.program;
    for (Step& step : bare.steps) {
        step.expected.clear();
    }
    text += fmt::format(" *   {}\n *\n * cc {}-o {} {}.c && ./{}\n", to_text(bare),
                        threads ? "-pthread " : "", name, name, name);
    return text +
           " * Exit code: 0 as claimed, 1 not so, 77 it cannot be run here.\n *\n"
           " * The steps are in perform(), what is claimed in judge(). After each step is printed "
           "what\n"
           " * came of it and the entries of the page table: P present, S in swap, N none, K(...) "
           "a\n"
           " * marker; u write-protected, f of a file; and PAGEMAP_SCAN's categories.\n"
           " * Printed by verso litmus --print c.\n */\n";
}

constexpr std::string_view includes = R"(#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
)";

std::string constants(const Plan& plan) {
    const Program& program = plan.program;
    const u32 pages = program.huge ? 2 : program.pages;
    return fmt::format(
        "#define AREA 0x1000000000UL /* where nothing else is mapped */\n"
        "enum {{ STEPS = {}, PAGES = {} /* that are looked at */, UFFDS = {}, IS_HUGE = {} }};\n"
        "enum {{ OPEN = 1000, LOAD = 2000, THREAD = 10000, PATIENCE_MS = 3000 }};\n",
        program.steps.size(), pages, std::max(plan.uffds, 1), program.huge ? 1 : 0);
}

std::string lay_out(const Program& program, bool soft_dirty) {
    std::string text = "static void lay_out(struct answer *a)\n{\n";
    if (program.kind == Kind::FS || program.kind == Kind::FP) {
        text += "    file = open(\"/var/tmp\", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);\n";
    } else if (program.kind != Kind::A) {
        text += fmt::format("    file = memfd_create(\"litmus\", MFD_CLOEXEC{});\n",
                            is_hugetlb(program.kind) ? " | MFD_HUGETLB" : "");
    }
    const bool has_file = program.kind != Kind::A;
    if (!program.huge && !is_hugetlb(program.kind)) {
        // Where a table is missing the kernel walks another way: in programs it is never missing,
        // as the process has other memory nearby.
        text +=
            "    /* A neighbour, so that the area's page table is there. */\n"
            "    volatile char *const neighbour =\n"
            "        mmap((void *)AREA, 4096, PROT_READ | PROT_WRITE,\n"
            "             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);\n"
            "    if (neighbour == MAP_FAILED)\n"
            "        return cannot(a, \"map a neighbour\");\n"
            "    neighbour[0] = 1;\n";
    }
    if (has_file) {
        text +=
            "    if (file < 0 || ftruncate(file, (off_t)length) != 0)\n"
            "        return cannot(a, \"make the file\");\n";
    }
    text += fmt::format(
        "    if (mmap((void *)first, length, PROT_READ | PROT_WRITE,\n"
        "             {} | MAP_FIXED_NOREPLACE, {}, 0) != (void *)first)\n"
        "        return cannot(a, \"map the area\");\n",
        is_shared(program.kind) ? "MAP_SHARED"
        : has_file              ? "MAP_PRIVATE"
                                : "MAP_PRIVATE | MAP_ANONYMOUS",
        has_file ? "file" : "-1");
    if (soft_dirty) {
        text +=
            "    static volatile int touched;\n    touched = 1;\n    errno = 0;\n"
            "    if (count_entries(getpid(), (unsigned long)&touched & ~4095UL, 4096, "
            "is_soft_dirty) == 0)\n"
            "        return cannot(a, \"soft-dirty is not configured in this kernel\");\n";
    }
    return text + "    result(a, 0);\n}\n";
}

/// hugetlb's page is the program's; a program of huge areas has the kernel's pages in it.
std::string sizes(const Program& program) {
    const bool hugetlb = is_hugetlb(program.kind);
    return fmt::format("    unit = {};\n    length = {};\n", hugetlb ? "huge_page" : "4096",
                       program.huge         ? std::string("huge_page")
                       : program.pages == 1 ? std::string("unit")
                                            : fmt::format("{} * unit", program.pages));
}

std::string main_text(const Program& program) {
    std::string text = R"(static int run(void)
{
@machine     take_machine();
)";
    if (is_hugetlb(program.kind)) {
        text += "    grow_pool();\n";
    }
    text += R"(    begin();
    for (int step = 1; step <= STEPS && make_step(step); ++step) {
    }
    if (steps_made == STEPS && strcmp(seen[STEPS].word, "hangs") != 0) {
        read_contents(0);
        if (child != 0)
            read_contents(1);
        printf("\n");
    }
    judge();
    printf("%s\n", broken ? "not as claimed" : "as claimed");
    stop(broken);
}

int main(void)
{
    if (geteuid() != 0) {
        printf("cannot be run here: only root sees what is in page tables\n");
        return 77;
    }
    huge_page = find_huge_page();
)";
    text += sizes(program);
    return text + R"(@luck     /* A trigger may need luck. */
@luck     for (int tries = 0; tries < 3; ++tries) {
@luck         int status = 0;
@luck         fflush(stdout);
@luck         const pid_t one = fork();
@luck         if (one == 0)
@luck             return run();
@luck         waitpid(one, &status, 0);
@luck         if (!WIFEXITED(status) || WEXITSTATUS(status) != 77)
@luck             return WIFEXITED(status) ? WEXITSTATUS(status) : 77;
@luck     }
@luck     return 77;
@!luck     return run();
}
)";
}

}  // namespace

Result<std::string> to_c(const Litmus& litmus, std::string_view name) {
    Result<Plan> plan = print_c::plan_of(litmus.program);
    if (!plan) {
        return pass(plan);
    }
    const std::string judge = print_c::judge_text(litmus);
    const std::string start = constants(*plan);
    const std::string tables = print_c::tables_text(*plan);
    std::string rest = "\n" + lay_out(litmus.program, print_c::asks_for_soft_dirty(judge)) + "\n" +
                       print_c::perform_text(*plan) + "\n" + judge + "\n" +
                       print_c::only(main_text(litmus.program), plan->conditions);
    const std::string pieces = print_c::needed(tables + rest, plan->conditions);
    const bool threads = plan->conditions.threads || plan->conditions.sleepers;
    return head(litmus, name, threads) + std::string(includes) + "\n" +
           print_c::numbers_text(pieces + rest) + start + "\n" + tables + pieces + rest;
}

}  // namespace verso::check
