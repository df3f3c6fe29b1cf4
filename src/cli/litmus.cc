// Reads all texts first: one that is wrong is said before anything runs.
#include "cli/litmus.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "check/litmus/catalogue.h"
#include "check/litmus/print_c/print_c.h"
#include "check/program/where.h"

namespace verso::cli {
namespace {

using check::CatalogueEntry;
using check::Judgement;

constexpr u64 model_runs_max = 4096;

/// One machine: a preset's name, or "linux 6.18".
struct Machine {
    std::string name;
    std::optional<mm::Rules> rules{};  // none: the running kernel
};

struct Judged {
    std::string machine;
    Judgement judgement;
    check::Expected expected{};  // empty: nothing is kept
};

Result<std::vector<Machine>> machines_of(std::vector<std::string> names) {
    if (names.empty()) {
        names = {"6.18", "linux"};
    }
    const std::string here = "linux " + check::running_release();
    std::vector<Machine> machines;
    for (const std::string& name : names) {
        if (name == "all" || name == "model") {
            for (const std::string& preset : mm::preset_names()) {
                machines.push_back({preset, mm::preset(preset)});
            }
        }
        if (name == "linux" || name == "all") {
            machines.push_back({here});
        } else if (const std::optional<mm::Rules> rules = mm::preset(name); rules) {
            machines.push_back({name, rules});
        } else if (name != "model") {
            return fail(ErrorKind::invalid_argument, 0,
                        "there is no machine '{}'; there are: linux, model, all, {}", name,
                        fmt::join(mm::preset_names(), ", "));
        }
    }
    return machines;
}

/// Those that were not judged now stay. False: the file could not be written.
bool promote(CatalogueEntry& text, const std::vector<Judged>& all) {
    for (const Judged& one : all) {
        if (one.judgement.kind == Judgement::Kind::not_run && one.machine.starts_with("linux")) {
            continue;  // says something of this machine, not of the release
        }
        const check::Expected now{.machine = one.machine,
                                  .verdict = std::string(name_of(one.judgement.kind)),
                                  .course = course_text(one.judgement)};
        const auto same = std::ranges::find(text.expected, one.machine, &check::Expected::machine);
        if (same != text.expected.end()) {
            *same = now;
        } else {
            text.expected.push_back(now);
        }
    }
    return check::write_expected(text);
}

/// What was expected and did not come; a kernel that could not run it contradicts nothing.
bool surprising(const Judged& one) {
    const bool unable =
        one.judgement.kind == Judgement::Kind::not_run && one.machine.starts_with("linux");
    return !one.expected.verdict.empty() && !unable &&
           one.expected.verdict != name_of(one.judgement.kind);
}

/// The verdict may be the same, but it was come to in another way.
bool went_otherwise(const Judged& one) {
    return !one.expected.course.empty() && one.expected.course != course_text(one.judgement);
}

void print_block(const Judged& one) {
    const Judgement& judgement = one.judgement;
    fmt::print("  {:<12} {}{}\n", one.machine, name_of(judgement.kind),
               surprising(one) ? fmt::format(", expected was {}", one.expected.verdict) : "");
    if (went_otherwise(one)) {
        fmt::print("    course {} and not {}: something that no condition names went otherwise\n",
                   course_text(judgement), one.expected.course);
    }
    if (!judgement.why.empty()) {
        fmt::print("    {}\n", judgement.why);
    }
    fmt::print("    {} runs{}{}, {} states\n", judgement.runs,
               judgement.cut ? " (there are more ways)" : "",
               judgement.could_not_go_on == 0
                   ? ""
                   : fmt::format(", {} of them could not go on", judgement.could_not_go_on),
               judgement.states.size());
    for (const check::LitmusState& state : judgement.states) {
        fmt::print("    {:>6}  {}\n", state.runs, state.text);
    }
    if (!judgement.witness.empty()) {
        fmt::print("    witness {}", judgement.witness);
    }
}

nlohmann::ordered_json json_of(const Judged& one) {
    nlohmann::ordered_json states = nlohmann::ordered_json::array();
    for (const check::LitmusState& state : one.judgement.states) {
        states.push_back({{"runs", state.runs}, {"state", state.text}});
    }
    return {{"machine", one.machine},
            {"verdict", name_of(one.judgement.kind)},
            {"expected", one.expected.verdict},
            {"course", course_text(one.judgement)},
            {"expected_course", one.expected.course},
            {"why", one.judgement.why},
            {"witness", one.judgement.witness},
            {"runs", one.judgement.runs},
            {"could_not_go_on", one.judgement.could_not_go_on},
            {"cut", one.judgement.cut},
            {"states", states}};
}

std::vector<Judged> judge(const CatalogueEntry& text, const std::vector<Machine>& machines,
                          u64 runs) {
    std::vector<Judged> all;
    for (const Machine& machine : machines) {
        Judged one{.machine = machine.name, .judgement = {}};
        one.judgement = machine.rules
                            ? check::judge_on_model(*machine.rules, text.litmus, model_runs_max)
                            : check::judge_on_running_kernel(text.litmus, runs);
        one.expected = text.expected_on(one.machine);
        all.push_back(std::move(one));
    }
    return all;
}

/// With nothing kept beside a text, Forbidden is what did not hold.
bool held(const Judged& one) {
    return one.expected.verdict.empty() ? one.judgement.kind != Judgement::Kind::forbidden
                                        : !surprising(one) && !went_otherwise(one);
}

std::size_t column_of(const std::string& machine) {
    return std::max<std::size_t>(machine.size(), 9);
}

/// Many texts: a line for each, a column for each machine. What was not expected has a mark.
void print_head(const std::vector<Machine>& machines) {
    for (const Machine& machine : machines) {
        fmt::print("{:<{}}  ", machine.name, column_of(machine.name));
    }
    fmt::print("\n");
}
void print_row(const CatalogueEntry& text, const std::vector<Judged>& all) {
    for (const Judged& one : all) {
        const bool unable = one.judgement.kind == Judgement::Kind::not_run;
        const std::string cell =
            fmt::format("{}{}", unable ? "–" : name_of(one.judgement.kind), held(one) ? "" : "!");
        fmt::print("{:<{}}  ", cell, column_of(one.machine));
    }
    fmt::print("{}\n", text.path.string());
}

int refuse(const std::string& message) {
    fmt::print(stderr, "verso: {}\n", message);
    return 2;
}

int print_texts(const std::vector<CatalogueEntry>& texts, const std::string& as) {
    if (as == "c" && texts.size() > 1) {
        return refuse("a C program is of one text; name one file");
    }
    for (const CatalogueEntry& text : texts) {
        if (as == "c") {
            const Result<std::string> program = check::to_c(text.litmus, text.path.stem().string());
            if (!program) {
                return refuse(fmt::format("{}: {}", text.path.string(), program.error().message));
            }
            fmt::print("{}", *program);
            continue;
        }
        fmt::print("{}\n", as == "line" ? to_text(text.litmus.program) : to_text(text.litmus));
    }
    return 0;
}

}  // namespace

int litmus(const LitmusOptions& options) {
    Result<std::vector<CatalogueEntry>> texts = check::read_catalogue(options.paths);
    if (!texts) {
        return refuse(texts.error().message);
    }
    if (!options.print.empty()) {
        return print_texts(*texts, options.print);
    }
    const Result<std::vector<Machine>> machines = machines_of(options.on);
    if (!machines) {
        return refuse(machines.error().message);
    }
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    const bool matrix = texts->size() > 1 && !options.json;
    if (matrix) {
        print_head(*machines);
    }
    bool all_held = true;
    for (CatalogueEntry& text : *texts) {
        if (!all_held && options.fail_fast) {
            break;
        }
        const std::vector<Judged> all = judge(text, *machines, options.runs);
        if (options.promote && !promote(text, all)) {
            return refuse(fmt::format("'{}' cannot be written; make its folder writable",
                                      check::expected_path(text.path).string()));
        }
        const bool held_here = options.promote || std::ranges::all_of(all, held);
        all_held = all_held && held_here;
        if (options.json) {
            json.push_back({{"file", text.path.string()}, {"title", text.litmus.title}});
            for (const Judged& one : all) {
                json.back()["machines"].push_back(json_of(one));
            }
            continue;
        }
        if (matrix) {
            print_row(text, all);
        }
        if (!matrix || !held_here) {
            fmt::print("{}: {}\n", text.path.string(), text.litmus.title);
            std::ranges::for_each(all, print_block);
        }
    }
    if (options.json) {
        fmt::print("{}\n", json.dump(2));
    }
    return all_held ? 0 : 1;
}

}  // namespace verso::cli
