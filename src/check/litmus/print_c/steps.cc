// Each step as a statement of C.
#include "check/litmus/print_c/steps.h"

#include <optional>

#include "abi/abi.h"
#include "kernel/call.h"
#include "kernel/world.h"

namespace verso::check::print_c {
namespace {

using kernel::Advice;
using kernel::Trigger;

struct Bit {
    u64 bit;
    std::string_view name;
};

/// "NAME | NAME", what has no name as a number; "0".
template <std::size_t count>
std::string bits(u64 value, const Bit (&names)[count]) {
    std::string text;
    for (const Bit& one : names) {
        if ((value & one.bit) != 0) {
            text += fmt::format("{}{}", text.empty() ? "" : " | ", one.name);
            value &= ~one.bit;
        }
    }
    if (value != 0 || text.empty()) {
        text += fmt::format("{}{:#x}", text.empty() ? "" : " | ", value);
    }
    return text == "0x0" ? "0" : text;
}

std::string register_mode(u64 mode) {
    constexpr Bit names[] = {{1, "UFFDIO_REGISTER_MODE_MISSING"},
                             {2, "UFFDIO_REGISTER_MODE_WP"},
                             {4, "UFFDIO_REGISTER_MODE_MINOR"}};
    return bits(mode, names);
}

/// The seam has names of its own for the two that all fills have.
std::string fill_mode(u64 flags) {
    constexpr Bit names[] = {{kernel::FillFlag::no_wake, "1 /* DONTWAKE */"},
                             {kernel::FillFlag::write_protect, "2 /* WP */"}};
    return bits(flags, names);
}

std::string protect_mode(u64 mode) {
    constexpr Bit names[] = {{1, "UFFDIO_WRITEPROTECT_MODE_WP"},
                             {2, "UFFDIO_WRITEPROTECT_MODE_DONTWAKE"}};
    return bits(mode, names);
}

std::string protection(u64 flags) {
    constexpr Bit names[] = {{kernel::MapFlag::read, "PROT_READ"},
                             {kernel::MapFlag::write, "PROT_WRITE"}};
    return flags == 0 ? "PROT_NONE" : bits(flags, names);
}

std::string features(u64 wanted) {
    constexpr Bit names[] = {{abi::Feature::wp_async, "UFFD_FEATURE_WP_ASYNC"},
                             {abi::Feature::wp_unpopulated, "UFFD_FEATURE_WP_UNPOPULATED"},
                             {abi::Feature::move, "UFFD_FEATURE_MOVE"},
                             {abi::Feature::poison, "UFFD_FEATURE_POISON"},
                             {abi::Feature::event_fork, "UFFD_FEATURE_EVENT_FORK"},
                             {abi::Feature::event_remap, "UFFD_FEATURE_EVENT_REMAP"},
                             {abi::Feature::event_remove, "UFFD_FEATURE_EVENT_REMOVE"},
                             {abi::Feature::event_unmap, "UFFD_FEATURE_EVENT_UNMAP"},
                             {abi::Feature::exact_address, "UFFD_FEATURE_EXACT_ADDRESS"}};
    return bits(wanted & ~user_mode_only, names);
}

std::string_view name_of(Advice advice) {
    switch (advice) {
        case Advice::drop: return "MADV_DONTNEED";
        case Advice::remove: return "MADV_REMOVE";
        case Advice::no_huge_page: return "MADV_NOHUGEPAGE";
        case Advice::make_writable: return "MADV_POPULATE_WRITE";
        case Advice::free: return "MADV_FREE";
        case Advice::cold: return "MADV_COLD";
        case Advice::pageout: return "MADV_PAGEOUT";
        case Advice::collapse: return "MADV_COLLAPSE";
        case Advice::huge_page: return "MADV_HUGEPAGE";
        case Advice::mergeable: return "MADV_MERGEABLE";
        case Advice::unmergeable: return "MADV_UNMERGEABLE";
        case Advice::populate_read: return "MADV_POPULATE_READ";
        case Advice::guard_install: return "MADV_GUARD_INSTALL";
        case Advice::guard_remove: return "MADV_GUARD_REMOVE";
    }
    return {};
}

/// What a statement is made of.
struct Parts {
    const Step& step;
    std::string at;      // the address
    std::string bytes;   // the length
    std::string offset;  // in the file
    std::string there;   // the same page of the second area
    std::string value;
    std::string fd;            // of the userfaultfd
    std::optional<int> keeps;  // which userfaultfd a child's becomes, if any step's does; -1: none
    std::string child;         // that it begins
    std::string process;
    bool has_file;
};

std::string pages(u64 count) {
    return count == 1 ? std::string("unit") : fmt::format("{} * unit", count);
}
std::string from(std::string_view base, u32 first) {
    return first == 0 ? std::string(base) : fmt::format("{} + {}", base, pages(first));
}

Parts parts_of(const Plan& plan, std::size_t at) {
    const Step& step = plan.program.steps[at];
    const u32 page = step.at.first;
    const std::string bytes = step.at.count != 0 ? pages(step.at.count)
                              : page == 0        ? "length"
                                                 : fmt::format("length - {}", pages(page));
    return {step,
            from(step.at.second ? "second" : "first", page) + (step.at.askew ? " + unit / 2" : ""),
            bytes,
            page == 0 ? "0" : pages(page),
            from("second", page),
            fmt::format("{}", step.value != 0 ? step.value : at + 1),
            fmt::format("uffd[{}]", plan.uffd[at]),
            plan.conditions.keeps ? std::optional(plan.keeps[at]) : std::nullopt,
            plan.children[at],
            plan.whose[at],
            plan.program.kind != Kind::A};
}

std::string map_text(const Parts& of) {
    const u64 mode = of.step.mode;
    const bool file = (mode & MapMode::file) != 0 && of.has_file;
    const bool anywhere = (mode & MapMode::anywhere) != 0;
    const bool later = (mode & MapMode::later) != 0;
    const bool askew = (mode & MapMode::askew) != 0;
    constexpr Bit types[] = {{MapMode::shared, "MAP_SHARED"},
                             {MapMode::droppable, "MAP_DROPPABLE"}};
    const u64 asked = mode & (MapMode::shared | MapMode::droppable);
    const std::string type = asked == 0 ? "MAP_PRIVATE" : bits(asked, types);
    return fmt::format(
        "result(a, mmap({}, length, PROT_READ | PROT_WRITE,\n"
        "                       {}{}{}, {}, {}) == "
        "MAP_FAILED ? -1 : 0)",
        anywhere ? "NULL" : fmt::format("(void *)({})", of.there), type,
        file ? "" : " | MAP_ANONYMOUS", anywhere ? "" : " | MAP_FIXED", file ? "file" : "-1",
        later && askew ? "(off_t)(unit + unit / 2)"
        : later        ? "(off_t)unit"
        : askew        ? "(off_t)(unit / 2)"
                       : "0");
}

std::string remap_text(const Parts& of) {
    constexpr Bit names[] = {{kernel::RemapFlag::may_move, "MREMAP_MAYMOVE"},
                             {kernel::RemapFlag::fixed, "MREMAP_FIXED"},
                             {kernel::RemapFlag::dontunmap, "MREMAP_DONTUNMAP"}};
    const u64 mode = of.step.mode;
    const u64 fixed = (mode & RemapMode::anywhere) == 0 ? kernel::RemapFlag::fixed : u64{0};
    const u64 moves = (mode & RemapMode::here) != 0 ? u64{0} : kernel::RemapFlag::may_move | fixed;
    const std::string there =
        (mode & RemapMode::next) != 0 ? fmt::format("{} + {}", of.at, of.bytes) : of.there;
    return fmt::format(
        "result(a, mremap((void *)({}), {}, {}{}{},\n                         {}, "
        "(void *)({})) == MAP_FAILED ? -1 : 0)",
        of.at, of.bytes, of.bytes, (mode & RemapMode::longer) != 0 ? " + unit" : "",
        (mode & RemapMode::shorter) != 0 ? " - unit" : "",
        bits((mode & kernel::RemapFlag::dontunmap) | moves, names), there);
}

std::string advise_text(const Parts& of) {
    const auto advice = static_cast<Advice>(of.step.mode);
    return advice == Advice::no_huge_page
               ? fmt::format("forbid_huge_pages(a, {}, {})", of.at, of.bytes)
               : fmt::format("result(a, madvise((void *)({}), {}, {}))", of.at, of.bytes,
                             name_of(advice));
}

std::string punch_text(const Parts& of) {
    return fmt::format(
        "result(a, fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,\n"
        "                            (off_t)({}), (off_t)({})))",
        of.offset, of.bytes);
}

/// A function of pieces with the userfaultfd, the range and what stands behind them.
std::string on_range(std::string_view function, const Parts& of, std::string_view more = {}) {
    return fmt::format("{}(a, {}, {}, {}{}{})", function, of.fd, of.at, of.bytes,
                       more.empty() ? "" : ", ", more);
}

std::string trigger_text(const Parts& of) {
    const std::string range = fmt::format("{}, {}", of.at, of.bytes);
    switch (static_cast<Trigger>(of.step.mode)) {
        case Trigger::reclaim: return fmt::format("reclaim(a, {})", range);
        case Trigger::swap_off:
            return fmt::format("leave_swap(a, pid_of[{}], {})", of.process, range);
        case Trigger::migrate: return fmt::format("migrate(a, {})", range);
        case Trigger::numa_hint: return fmt::format("hint(a, {})", range);
        case Trigger::ksm_merge: return fmt::format("merge(a, pid_of[{}], {})", of.process, range);
        case Trigger::ksm_unmerge: return fmt::format("unmerge(a, {})", range);
        case Trigger::thp_collapse: return fmt::format("collapse(a, {})", range);
        case Trigger::thp_split: return fmt::format("split(a, {})", range);
        case Trigger::write_back: return fmt::format("write_back(a, {})", range);
    }
    return "acted(a, 0, \"a running kernel does not stop half way, and breaks nothing\")";
}

std::string scan_text(const Parts& of) {
    const u64 mode = of.step.mode;
    const u64 without = (mode >> ScanMode::without_shift) & ScanMode::categories;
    const bool arms = of.step.verb == Verb::arm;
    const u64 mask =
        (mode & ScanMode::categories) | without | (arms ? abi::PageIs::written : u64{0});
    return fmt::format("scan(a, {}, {}, {}, {:#x}, {:#x}, {}, {})", of.at, of.bytes,
                       arms ? "1 | 2 /* WP_MATCHING, CHECK_WPASYNC */" : "0", mask, without,
                       (mode & ScanMode::blind) != 0 ? 1 : 0, (mode & ScanMode::one) != 0 ? 1 : 0);
}

std::string statement(const Parts& of) {
    const u64 mode = of.step.mode;
    switch (of.step.verb) {
        case Verb::load: return fmt::format("load(a, {})", of.at);
        case Verb::store: return fmt::format("store(a, {}, {})", of.at, of.value);
        case Verb::read: return fmt::format("read_by_kernel(a, {})", of.at);
        case Verb::write: return fmt::format("write_by_kernel(a, {}, {})", of.at, of.value);
        case Verb::force: return fmt::format("write_by_force(a, {}, {})", of.at, of.value);
        case Verb::pin: return fmt::format("pin(a, {})", of.at);
        case Verb::unpin: return "unpin(a)";
        case Verb::lock:
            return fmt::format("result(a, syscall(SYS_mlock, {}, {}))", of.at, of.bytes);
        case Verb::file_write: return fmt::format("write_file(a, {}, {})", of.offset, of.value);
        case Verb::map: return map_text(of);
        case Verb::unmap:
            return fmt::format("result(a, munmap((void *)({}), {}))", of.at, of.bytes);
        case Verb::remap: return remap_text(of);
        case Verb::protect:
            return fmt::format("result(a, mprotect((void *)({}), {}, {}))", of.at, of.bytes,
                               protection(mode));
        case Verb::advise: return advise_text(of);
        case Verb::truncate:
            return fmt::format("result(a, ftruncate(file, (off_t)({})))", of.offset);
        case Verb::punch: return punch_text(of);
        case Verb::register_: return on_range("register_range", of, register_mode(mode));
        case Verb::unregister: return on_range("unregister", of);
        case Verb::wake: return on_range("wake", of);
        case Verb::write_protect: return on_range("write_protect", of, protect_mode(mode));
        case Verb::copy:
            return on_range("copy", of, fmt::format("{}, {}", fill_mode(mode), of.value));
        case Verb::zeropage: return on_range("zeropage", of, fill_mode(mode));
        case Verb::continue_: return on_range("continue_range", of, fill_mode(mode));
        case Verb::poison: return on_range("poison", of, fill_mode(mode));
        case Verb::move: return on_range("move", of, fmt::format("{}, {:#x}", of.there, mode));
        case Verb::close: return fmt::format("result(a, close({}))", of.fd);
        case Verb::fork: return fmt::format("fork_here(a, {})", of.child);
        case Verb::exit: return "end_child(a)";
        case Verb::clear_refs: return "forget_soft_dirty(a)";
        case Verb::scan:
        case Verb::arm: return scan_text(of);
        case Verb::provoke: return trigger_text(of);
        case Verb::messages:
            return fmt::format("{}read_messages(a, {})",
                               of.keeps ? fmt::format("keep = {};\n        ", *of.keeps) : "",
                               of.fd);
    }
    return {};
}

}  // namespace

std::string perform_text(const Plan& plan) {
    std::string text =
        "static void perform(int number, struct answer *a)\n{\n    switch (number) {\n"
        "    case 0: lay_out(a); return;\n";
    for (std::size_t i = 0; i < plan.program.steps.size(); ++i) {
        Step bare = plan.program.steps[i];
        bare.expected.clear();
        text += fmt::format("    case {}: /* {} */\n        {};\n        return;\n", i + 1,
                            to_text(bare), statement(parts_of(plan, i)));
    }
    for (int i = 0; i < plan.uffds; ++i) {
        text += fmt::format("    case OPEN + {}: open_uffd(a, {}, {}); return;\n", i, i,
                            features(plan.program.features));
    }
    text += "    }\n";
    if (plan.conditions.threads || plan.conditions.sleepers) {
        text += "    if (number >= THREAD)\n        return start_thread(a, number - THREAD);\n";
    }
    return text + "    load(a, first + (unsigned long)(number - LOAD) * unit);\n}\n";
}

}  // namespace verso::check::print_c
