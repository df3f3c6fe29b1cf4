// The table of contents of `verso`: which verbs there are, what each may be asked, and who does it.
//
// The only file that includes CLI11 (7 s of compilation) and the only place where its exceptions
// exist: a parsed command line leaves here as a plain struct, a refused one as one line on stderr
// and exit code 2. To add a verb: its header beside the others, one add_… function here, one line
// in main().
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "base/types.h"
#include "check/torture/torture.h"
#include "cli/help_texts.h"
#include "cli/verbs.h"
#include "verso/verso.hpp"
#include "vm/verbs.h"

namespace verso::cli {
namespace {

constexpr int exit_refused = 2;
/// A verb is chosen by the parser and runs after it: nothing happens while options are still being
/// read.
using Chosen = std::function<int()>;

std::string one_line(std::string text) {
    for (char& c : text) {
        if (c == '\n' || c == '\r') {
            c = ' ';
        }
    }
    return text;
}

int refuse(const std::string& what, const std::string& mend) {
    fmt::print(stderr, "verso: {}; {}\n", one_line(what), mend);
    return exit_refused;
}

// ── what an option's value must be ───────────────────────────────────────────────────────────────

CLI::Validator readable_file() {
    return {[](std::string& path) -> std::string {
                std::error_code error;
                if (!std::filesystem::is_regular_file(path, error)) {
                    return fmt::format("there is no file '{}'", path);
                }
                // Why safe: only asks; the string outlives the call.
                if (::access(path.c_str(), R_OK) != 0) {
                    return fmt::format("the file '{}' may not be read by this user", path);
                }
                return {};
            },
            ""};
}

/// Checked before a run of minutes, not when its result is to be written.
CLI::Validator writable_path() {
    return {[](std::string& path) -> std::string {
                const std::filesystem::path file(path);
                std::error_code error;
                if (path.empty() || std::filesystem::is_directory(file, error)) {
                    return fmt::format("'{}' is not the name of a file", path);
                }
                const std::filesystem::path folder =
                    file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
                const bool exists = std::filesystem::exists(file, error);
                const bool has_folder = std::filesystem::is_directory(folder, error);
                // Why safe: only asks; the strings outlive the call.
                if (!has_folder || ::access(exists ? file.c_str() : folder.c_str(), W_OK) != 0) {
                    return fmt::format("'{}' cannot be written: its folder is missing or read-only",
                                       path);
                }
                return {};
            },
            ""};
}

CLI::Validator between(u64 low, u64 high) {
    return {[low, high](std::string& text) -> std::string {
                u64 value = 0;
                if (!CLI::detail::lexical_cast(text, value) || value < low || value > high) {
                    return fmt::format("'{}' is not a whole number from {} to {}", text, low, high);
                }
                return {};
            },
            fmt::format("{} to {}", low, high)};
}

CLI::Validator one_of(const std::vector<std::string_view>& names) {
    return {[names](std::string& name) -> std::string {
                const bool known = std::find(names.begin(), names.end(), name) != names.end();
                return known ? ""
                             : fmt::format("there is no '{}'; there are: {}", name,
                                           fmt::join(names, ", "));
            },
            ""};
}

void add_write(CLI::App& verb, std::string& folder) {
    verb.add_option("--write", folder, "write NAME.litmus and NAME.c of what is found there")
        ->check(CLI::ExistingDirectory)
        ->type_name("DIR");
}

// ── the verbs ────────────────────────────────────────────────────────────────────────────────────

void add_demo(CLI::App& app, Chosen& chosen) {
    CLI::App& verb =
        *app.add_subcommand("demo", "Snapshots, forks and rewinds a live SQLite database");
    const auto options = std::make_shared<DemoOptions>();
    CLI::Option* const db =
        verb.add_option("--db", options->db, "the database to use; without it, one is built")
            ->check(readable_file())
            ->type_name("FILE");
    verb.add_option("--size-mib", options->size_mib, "size of the database that is built")
        ->check(between(4, 1 << 20))
        ->type_name("N")
        ->excludes(db)
        ->capture_default_str();
    verb.add_option("--snapshots", options->snapshots, "how many snapshots to take")
        ->check(between(1, Limits::snapshots_max))
        ->type_name("N")
        ->capture_default_str();
    verb.add_option("--interval-ms", options->interval_ms, "time between two snapshots")
        ->check(between(0, 60'000))
        ->type_name("N")
        ->capture_default_str();
    verb.add_option("--children", options->children, "child processes forked from snapshots")
        ->check(between(1, 64))
        ->type_name("N")
        ->capture_default_str();
    verb.add_option("--json", options->json, "also write every figure to this file")
        ->check(writable_path())
        ->type_name("FILE");
    verb.add_flag("--quiet", options->quiet, "no progress lines, only the final table");
    verb.footer(demo_footer);
    verb.callback([options, &chosen] { chosen = [options] { return demo(*options); }; });
}

void add_bench_vm(CLI::App& bench, Chosen& chosen) {
    CLI::App& verb = *bench.add_subcommand(
        "vm", "Forking a running guest against QEMU's own ways of saving one");
    const auto options = std::make_shared<BenchVmOptions>();
    verb.add_option("--memory", options->memory, "sizes of guest to measure")
        ->delimiter(',')
        ->type_name("SIZE")
        ->capture_default_str();
    verb.add_option("--children", options->children, "how many children to wait for")
        ->delimiter(',')
        ->check(between(1, vm::children_max))
        ->type_name("N")
        ->capture_default_str();
    verb.add_option("--guest", options->guest,
                    "folder made by scripts/guest; else `guest` beside this program")
        ->type_name("DIR");
    verb.add_option("--repeats", options->repeats, "runs per figure; the median is reported")
        ->check(between(1, 100))
        ->type_name("N")
        ->capture_default_str();
    verb.add_option("--only", options->only,
                    fmt::format("measure one part: {}", fmt::join(bench_vm_parts(), ", ")))
        ->check(one_of(bench_vm_parts()))
        ->type_name("PART");
    verb.add_option("--seconds", options->seconds, "before and after, for the slowdown")
        ->check(between(1, 600))
        ->type_name("N")
        ->capture_default_str();
    verb.add_option("--json", options->json,
                    "also write every figure to this file; without one, print JSON, not the table")
        ->expected(0, 1)
        ->default_str("-")
        ->type_name("[FILE]");
    verb.footer(bench_vm_footer);
    verb.callback([options, &chosen] { chosen = [options] { return bench_vm(*options); }; });
}

void add_bench(CLI::App& app, Chosen& chosen) {
    CLI::App& verb =
        *app.add_subcommand("bench", "Measures, each figure beside a rival in the same run");
    verb.require_subcommand(1);
    CLI::App& engine = *verb.add_subcommand(
        "engine",
        "Arming, faults, forks, rewind and scans against the raw system calls and fork(2)");
    const auto options = std::make_shared<BenchOptions>();
    engine.add_option("--sizes-mib", options->sizes_mib, "region sizes to measure")
        ->delimiter(',')
        ->check(between(1, 1 << 20))
        ->type_name("N")
        ->capture_default_str();
    engine.add_option("--repeats", options->repeats, "runs per figure; the median is reported")
        ->check(between(1, 1000))
        ->type_name("N")
        ->capture_default_str();
    engine
        .add_option("--only", options->only,
                    fmt::format("measure one row: {}", fmt::join(bench_row_names(), ", ")))
        ->check(one_of(bench_row_names()))
        ->type_name("ROW");
    engine.add_option("--json", options->json, "also write every figure to this file")
        ->check(writable_path())
        ->type_name("FILE");
    engine.callback([options, &chosen] { chosen = [options] { return bench_engine(*options); }; });
    add_bench_vm(verb, chosen);
}

void add_doctor(CLI::App& app, Chosen& chosen) {
    CLI::App& verb =
        *app.add_subcommand("doctor", "What this machine offers and what to change to get more");
    const auto options = std::make_shared<DoctorOptions>();
    verb.add_flag("--json", options->json, "print JSON instead of text");
    verb.add_flag("--quick", options->quick,
                  "do not try whether this kernel keeps its promise (some seconds)");
    verb.callback([options, &chosen] {
        chosen = [options] {
            host::LinuxKernel kernel;
            return doctor(*options, kernel);
        };
    });
}

void add_explore(CLI::App& app, Chosen& chosen) {
    CLI::App& verb = *app.add_subcommand(
        "explore", "Searches all small programs on the model of the kernel for broken promises");
    const auto options = std::make_shared<ExploreOptions>();
    verb.add_option("--rules", options->rules, "a kernel's preset, with changes")
        ->type_name("RULES")
        ->capture_default_str();
    verb.add_option("--against", options->against,
                    "look for the first step that comes to something else under these rules")
        ->type_name("RULES");
    verb.add_option("--scope", options->scope, "which programs")->type_name("SCOPE");
    verb.add_option("--oracle", options->oracle,
                    "what must hold: all, or of invariants+I9+I10+E-SD8+SC+contents+progress")
        ->type_name("NAMES")
        ->capture_default_str();
    verb.add_flag("--all", options->all, "go on after the first, list every kind of violation");
    verb.add_flag("--estimate", options->estimate, "only say how large the search would be");
    verb.add_flag("--coverage", options->coverage, "also say which rules mattered");
    verb.add_option("--memory", options->memory, "stop before more is used")
        ->type_name("N[MG]")
        ->capture_default_str();
    verb.add_option("--threads", options->threads, "workers; 0: one for each core")
        ->check(between(0, 256))
        ->type_name("N")
        ->capture_default_str();
    verb.add_option("--checkpoint", options->checkpoint, "keep this file up to date")
        ->check(writable_path())
        ->type_name("FILE");
    verb.add_option("--resume", options->resume, "go on from such a file")
        ->check(readable_file())
        ->type_name("FILE");
    verb.add_option("--replay", options->replay, "make the program of a token again, step by step")
        ->type_name("TOKEN");
    add_write(verb, options->write);
    verb.add_flag("--json", options->json, "print JSON instead of text");
    verb.footer(explore_footer);
    verb.callback([options, &chosen] { chosen = [options] { return explore(*options); }; });
}

void add_explain(CLI::App& app, Chosen& chosen) {
    CLI::App& verb = *app.add_subcommand(
        "explain", "Shows what a litmus text does to page tables, folios and messages, by step");
    const auto options = std::make_shared<ExplainOptions>();
    verb.add_option("file", options->file, "a litmus text")->required()->type_name("FILE");
    verb.add_option("--on", options->on, "a kernel's preset")
        ->type_name("PRESET")
        ->capture_default_str();
    verb.add_option("--html", options->html, "write a page for a browser instead")
        ->check(writable_path())
        ->type_name("FILE");
    verb.footer(explain_footer);
    verb.callback([options, &chosen] { chosen = [options] { return explain(*options); }; });
}

void add_conform(CLI::App& app, Chosen& chosen) {
    CLI::App& verb = *app.add_subcommand(
        "conform",
        "Random programs on the model of the kernel and on the running kernel, compared");
    const auto options = std::make_shared<ConformOptions>();
    verb.add_option("--seed", options->seed, "the same seed, the same programs")
        ->check(between(0, ~u64{0}))
        ->type_name("N")
        ->capture_default_str();
    verb.add_option("--programs", options->programs, "how many to run (20000 unless --minutes)")
        ->check(between(1, ~u64{0}))
        ->type_name("N");
    verb.add_option("--minutes", options->minutes, "how long to run")
        ->check(between(1, 100'000))
        ->type_name("M");
    verb.add_option("--workers", options->workers, "programs at a time")
        ->check(between(1, 64))
        ->type_name("N")
        ->capture_default_str();
    verb.add_option("--kinds", options->kinds, "kinds of memory (A SS SP HS HP FS FP); else all")
        ->delimiter(',')
        ->check(one_of(conform_kinds()))
        ->type_name("KIND");
    verb.add_option("--calls", options->calls,
                    "words of the notation that steps may be; `quick`: all without triggers")
        ->delimiter(',')
        ->check(one_of(conform_calls()))
        ->type_name("WORD");
    verb.add_option("--program", options->program, "run this one alone and show both traces")
        ->type_name("TEXT");
    verb.add_option("--break", options->broken_rule,
                    "turn a rule of the model round: a canary that must be found")
        ->check(one_of(conform_rules()))
        ->type_name("RULE");
    add_write(verb, options->write);
    verb.add_flag("--all", options->all, "print known differences in full as well");
    verb.callback([options, &chosen] { chosen = [options] { return conform(*options); }; });
}

void add_litmus(CLI::App& app, Chosen& chosen) {
    CLI::App& verb = *app.add_subcommand(
        "litmus", "Judges claims about the kernel, on its model and on the running kernel");
    const auto options = std::make_shared<LitmusOptions>();
    verb.add_option("paths", options->paths, "litmus texts, or folders of them")
        ->required()
        ->type_name("FILE|DIR");
    verb.add_option("--on", options->on, "presets, linux, model, all; else 6.18 and linux")
        ->delimiter(',')
        ->type_name("MACHINE");
    verb.add_option("--runs", options->runs, "how many on the running kernel")
        ->check(between(1, 1'000'000))
        ->type_name("N")
        ->capture_default_str();
    verb.add_option("--print", options->print, "judge nothing, print the text: litmus, line, c")
        ->check(one_of({"litmus", "line", "c"}))
        ->type_name("FORM");
    verb.add_flag("--promote", options->promote, "make these verdicts the expected ones");
    verb.add_flag("--fail-fast", options->fail_fast, "end at the first that is not as expected");
    verb.add_flag("--json", options->json, "print JSON instead of text");
    verb.footer(litmus_footer);
    verb.callback([options, &chosen] { chosen = [options] { return litmus(*options); }; });
}

void add_swarm(CLI::App& app, Chosen& chosen) {
    CLI::App& verb = *app.add_subcommand(
        "swarm", "Runs the engine on the model of the kernel, in many small worlds from seeds");
    const auto options = std::make_shared<SwarmOptions>();
    verb.add_option("--seed", options->seed, "the first; without it, a fresh one")
        ->check(between(1, 1'000'000'000'000))
        ->type_name("N");
    verb.add_option("--seeds", options->seeds, "how many; without it and --minutes: a minute's")
        ->check(between(1, 1'000'000'000'000))
        ->type_name("N");
    verb.add_option("--minutes", options->minutes, "end after so many")
        ->check(between(1, 10'000))
        ->type_name("N");
    verb.add_option("--rules", options->rules, "a kernel, and what differs from it")
        ->type_name("RULES")
        ->capture_default_str();
    verb.add_flag("--small", options->small,
                  "worlds of one snapshot, two forks and four writers, to tell the speed by");
    verb.add_flag("--as-found", options->as_found, "do not shrink what is found");
    verb.add_flag("--json", options->json, "print JSON instead of text");
    verb.footer(swarm_footer);
    verb.callback([options, &chosen] { chosen = [options] { return swarm(*options); }; });
}

void add_replay(CLI::App& app, Chosen& chosen) {
    CLI::App& verb = *app.add_subcommand("replay", "Makes one run of `verso swarm` again");
    const auto options = std::make_shared<ReplayOptions>();
    verb.add_option("token", options->token, "as `verso swarm` printed it")
        ->required()
        ->type_name("TOKEN");
    verb.add_flag("--calls", options->calls, "show the engine's calls of the kernel as well");
    verb.add_flag("--json", options->json, "print JSON instead of text");
    verb.footer(replay_footer);
    verb.callback([options, &chosen] { chosen = [options] { return replay(*options); }; });
}

void add_torture(CLI::App& app, Chosen& chosen) {
    CLI::App& verb = *app.add_subcommand(
        "torture",
        "Runs the engine on this kernel while that compacts, swaps, merges and migrates");
    const auto options = std::make_shared<TortureOptions>();
    verb.add_option("--instances", options->instances, "processes with a memory of their own")
        ->check(between(1, check::torture::instances_max))
        ->type_name("N")
        ->capture_default_str();
    verb.add_option("--size", options->size, "memory of each, 1M to 4G")
        ->type_name("N[MG]")
        ->capture_default_str();
    verb.add_option("--minutes", options->minutes, "how long; parts of one will do")
        ->check(CLI::Range(0.01, 100'000.0))
        ->type_name("M")
        ->capture_default_str();
    verb.add_option("--seed", options->seed, "without it, a fresh one")
        ->check(between(1, 1'000'000'000'000))
        ->type_name("N");
    verb.add_option("--json", options->json, "also write every figure to this file")
        ->check(writable_path())
        ->type_name("FILE");
    verb.footer(torture_footer);
    verb.callback([options, &chosen] { chosen = [options] { return torture(*options); }; });
}

void add_version(CLI::App& app, Chosen& chosen) {
    app.add_subcommand("version", "Prints the version")->callback([&chosen] {
        chosen = [] {
            fmt::print("verso {}\n", VERSO_VERSION);
            return 0;
        };
    });
}

/// The verbs of `verso vm`, each with its own words.
CLI::App& add_vm_verb(CLI::App& vm, Chosen& chosen, const std::shared_ptr<VmOptions>& options,
                      const char* name, const char* what, int (*body)(const VmOptions&)) {
    CLI::App& verb = *vm.add_subcommand(name, what);
    verb.callback(
        [options, body, &chosen] { chosen = [options, body] { return body(*options); }; });
    return verb;
}

void add_vm(CLI::App& app, Chosen& chosen) {
    CLI::App& vm =
        *app.add_subcommand("vm", "Runs virtual machines under QEMU; forks and rewinds them");
    vm.require_subcommand(1);
    vm.footer(vm_footer);
    const auto options = std::make_shared<VmOptions>();
    const auto verb = [&](const char* name, const char* what, int (*body)(const VmOptions&),
                          bool named = true) -> CLI::App* {
        CLI::App& made = add_vm_verb(vm, chosen, options, name, what, body);
        if (named) {
            made.add_option("name", options->name, "a machine")->required()->type_name("NAME");
        }
        return &made;
    };
    const auto json = [&](CLI::App* of) {
        of->add_flag("--json", options->json, "print JSON instead of text");
    };
    CLI::App* const run = verb("run", "Starts a machine: run NAME -- qemu-system-x86_64 …", vm_run);
    run->add_option("--memory", options->memory, "of the guest; else what -m says, else 512M")
        ->type_name("SIZE");
    run->add_flag("--huge", options->huge, "memory of huge pages (hugetlb, 2 MiB)");
    run->add_option("command", options->command, "QEMU's command line, after --")
        ->required()
        ->type_name("WORD");
    json(run);
    json(verb("ls", "Lists all machines and what their memory costs", vm_list, false));
    verb("console", "Connects this terminal to a machine's console; Ctrl-] ends it", vm_console)
        ->add_flag("--log", options->log, "print what the console has shown so far instead");
    CLI::App* const snapshot = verb("snapshot", "Keeps a moment of a running machine", vm_snapshot);
    CLI::App* const rewind = verb("rewind", "Brings a running machine back to it", vm_rewind);
    for (CLI::App* const one : {snapshot, rewind}) {
        one->add_option("snapshot", options->moment, "its name")->required()->type_name("SNAP");
        json(one);
    }
    CLI::App* const fork =
        verb("fork", "Forks a running machine: the child goes on beside it", vm_fork);
    fork->add_option("child", options->child, "the child's name")->required()->type_name("CHILD");
    fork->add_option("--from", options->from, "not now, but this snapshot")->type_name("SNAP");
    fork->add_option("--count", options->count, "so many children of one moment: CHILD-1, …")
        ->check(between(1, vm::children_max))
        ->type_name("N")
        ->capture_default_str();
    fork->add_option("--hook", options->hook, "a shell command to run for each child")
        ->type_name("COMMAND");
    fork->add_option("--ask", options->ask,
                     "type this on each child's console and say when it answered ('': Enter)")
        ->type_name("LINE");
    fork->add_option("--answer", options->answer,
                     "it has answered when this is printed; else, when anything is")
        ->type_name("TEXT");
    json(fork);
    verb("stop", "Ends a machine's QEMU", vm_stop);
    verb("rm", "Removes a machine that has ended", vm_remove);
}

// ── refusing well ────────────────────────────────────────────────────────────────────────────────

/// The deepest verb named on the command line: whose --help would have helped.
std::string named_verb(const CLI::App& app) {
    const auto subs = app.get_subcommands();
    const std::string& own = app.get_name();
    return subs.empty() ? own : own + " " + named_verb(*subs.front());
}

std::string verbs_of(const CLI::App& app) {
    std::string names;
    for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
        names += (names.empty() ? "" : ", ") + verb->get_name();
    }
    return names;
}

int refuse_parse(const CLI::App& app, const CLI::ParseError& error) {
    const CLI::App* at = &app;
    for (auto subs = at->get_subcommands(); !subs.empty(); subs = at->get_subcommands()) {
        at = subs.front();
    }
    const std::string verb = named_verb(app);
    const std::string names = verbs_of(*at);
    if (!names.empty()) {  // `verso`, `verso nonsense`, `verso bench`: a verb is missing
        const auto rest = at->remaining();
        return refuse(
            rest.empty() ? "a verb is missing" : fmt::format("there is no '{}'", rest.front()),
            fmt::format("after `{}` comes one of: {}", verb, names));
    }
    return refuse(error.what(), fmt::format("see `{} --help`", verb));
}

int run(int argc, char** argv) {
    CLI::App app(about, "verso");
    app.require_subcommand(1);
    app.set_version_flag("--version", "verso " VERSO_VERSION);
    app.get_formatter()->column_width(28);
    Chosen chosen;
    add_demo(app, chosen);
    add_bench(app, chosen);
    add_conform(app, chosen);
    add_doctor(app, chosen);
    add_explain(app, chosen);
    add_explore(app, chosen);
    add_litmus(app, chosen);
    add_swarm(app, chosen);
    add_replay(app, chosen);
    add_vm(app, chosen);
    add_torture(app, chosen);
    add_version(app, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const bool version = dynamic_cast<const CLI::CallForVersion*>(&error) != nullptr;
        if (version && argc > 2) {
            return refuse("--version stands alone", "ask `verso --version`");
        }
        return error.get_exit_code() == 0 ? app.exit(error) : refuse_parse(app, error);
    }
    return chosen();
}

}  // namespace
}  // namespace verso::cli

int main(int argc, char** argv) {
    // The other processes of a demo or a bench, and the page server: not for people, so not in
    // the help.
    if (argc > 1 && std::string_view(argv[1]) == "demo-child") {
        return verso::cli::demo_child(argc, argv);
    }
    if (argc > 1 && std::string_view(argv[1]) == "bench-child") {
        return verso::cli::bench_child(argc, argv);
    }
    if (argc > 1 && std::string_view(argv[1]) == "vm-server") {
        return verso::cli::vm_server(argc, argv);
    }
    if (argc > 1 && std::string_view(argv[1]) == "vm-safe") {
        return verso::cli::vm_safe(argc, argv);
    }
    if (argc > 1 && std::string_view(argv[1]) == "vm-guard") {
        return verso::cli::vm_guard(argc, argv);
    }
    const int code = verso::cli::run(argc, argv);
    // A report that did not reach its reader (full disk, closed pipe) is not a success.
    return std::fflush(stdout) == 0 ? code : (code == 0 ? 1 : code);
}
