// Reads all texts first: one that is wrong is said before anything runs.
#include "cli/litmus.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "check/litmus/litmus.h"
#include "check/program/where.h"

namespace verso::cli {
namespace {

namespace fs = std::filesystem;
using check::Judgement;

constexpr u64 model_runs_max = 4096;

struct Text {
    fs::path path;
    check::Litmus litmus;
};

/// One machine: a preset's name, or "linux 6.18".
struct Machine {
    std::string name;
    bool model = true;
};

struct Judged {
    std::string machine;
    Judgement judgement;
    std::string expected;  // empty: nothing is kept
};

std::string read_file(const fs::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

Result<std::vector<fs::path>> files_of(const std::vector<std::string>& paths) {
    std::vector<fs::path> files;
    for (const std::string& path : paths) {
        std::error_code error;
        if (!fs::is_directory(path, error)) {
            if (!fs::is_regular_file(path, error)) {
                return fail(ErrorKind::invalid_argument, 0,
                            "there is no file or folder '{}'; name a .litmus file or a folder",
                            path);
            }
            files.emplace_back(path);
            continue;
        }
        const std::size_t before = files.size();
        for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
            if (entry.path().extension() == ".litmus") {
                files.push_back(entry.path());
            }
        }
        if (files.size() == before) {
            return fail(ErrorKind::invalid_argument, 0,
                        "the folder '{}' holds no .litmus file; name another", path);
        }
        std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
    }
    return files;
}

Result<std::vector<Text>> texts_of(const std::vector<std::string>& paths) {
    Result<std::vector<fs::path>> files = files_of(paths);
    if (!files) {
        return pass(files);
    }
    std::vector<Text> texts;
    for (const fs::path& path : *files) {
        Result<check::Litmus> litmus = check::parse_litmus(read_file(path), path.string());
        if (!litmus) {
            return pass(litmus);
        }
        texts.push_back({path, std::move(*litmus)});
    }
    return texts;
}

Result<std::vector<Machine>> machines_of(std::vector<std::string> names) {
    if (names.empty()) {
        names = {"6.18", "linux"};
    }
    const std::string here = "linux " + check::running_release();
    std::vector<Machine> machines;
    for (const std::string& name : names) {
        if (name == "all") {
            for (const std::string& preset : mm::preset_names()) {
                machines.push_back({preset, true});
            }
        }
        if (name == "linux" || name == "all") {
            machines.push_back({here, false});
        } else if (mm::preset(name)) {
            machines.push_back({name, true});
        } else {
            return fail(ErrorKind::invalid_argument, 0,
                        "there is no machine '{}'; there are: linux, all, {}", name,
                        fmt::join(mm::preset_names(), ", "));
        }
    }
    return machines;
}

fs::path expected_path(const fs::path& path) {
    return fs::path(path).replace_extension(".expected");
}

/// Lines "<machine>: <verdict>".
std::vector<std::pair<std::string, std::string>> kept_of(const fs::path& path) {
    std::vector<std::pair<std::string, std::string>> kept;
    std::istringstream lines(read_file(expected_path(path)));
    for (std::string line; std::getline(lines, line);) {
        if (const std::size_t colon = line.find(": "); colon != std::string::npos) {
            kept.emplace_back(line.substr(0, colon), line.substr(colon + 2));
        }
    }
    return kept;
}

/// Those that were not judged now stay. False: the file could not be written.
bool promote(const Text& text, const std::vector<Judged>& all) {
    auto kept = kept_of(text.path);
    for (const Judged& one : all) {
        if (one.judgement.kind == Judgement::Kind::not_run && one.machine.starts_with("linux")) {
            continue;  // says something of this machine, not of the release
        }
        const std::string verdict(name_of(one.judgement.kind));
        const auto same = std::ranges::find(kept, one.machine, &decltype(kept)::value_type::first);
        if (same != kept.end()) {
            same->second = verdict;
        } else {
            kept.emplace_back(one.machine, verdict);
        }
    }
    std::ofstream file(expected_path(text.path));
    for (const auto& [machine, verdict] : kept) {
        file << machine << ": " << verdict << '\n';
    }
    return static_cast<bool>(file.flush());
}

/// What was expected and did not come; a kernel that could not run it contradicts nothing.
bool surprising(const Judged& one) {
    const bool unable =
        one.judgement.kind == Judgement::Kind::not_run && one.machine.starts_with("linux");
    return !one.expected.empty() && !unable && one.expected != name_of(one.judgement.kind);
}

void print_block(const Judged& one) {
    const Judgement& judgement = one.judgement;
    fmt::print("  {:<12} {}{}\n", one.machine, name_of(judgement.kind),
               surprising(one) ? fmt::format(", expected was {}", one.expected) : "");
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
            {"expected", one.expected},
            {"why", one.judgement.why},
            {"witness", one.judgement.witness},
            {"runs", one.judgement.runs},
            {"could_not_go_on", one.judgement.could_not_go_on},
            {"cut", one.judgement.cut},
            {"states", states}};
}

std::vector<Judged> judge(const Text& text, const std::vector<Machine>& machines, u64 runs) {
    const auto kept = kept_of(text.path);
    std::vector<Judged> all;
    for (const Machine& machine : machines) {
        Judged one{.machine = machine.name, .judgement = {}, .expected = {}};
        one.judgement = machine.model ? check::judge_on_model(*mm::preset(machine.name),
                                                              text.litmus, model_runs_max)
                                      : check::judge_on_running_kernel(text.litmus, runs);
        const auto same = std::ranges::find(kept, one.machine, &decltype(kept)::value_type::first);
        one.expected = same == kept.end() ? "" : same->second;
        all.push_back(std::move(one));
    }
    return all;
}

/// With nothing kept beside a text, Forbidden is what did not hold.
bool held(const Judged& one) {
    return one.expected.empty() ? one.judgement.kind != Judgement::Kind::forbidden
                                : !surprising(one);
}

int print_texts(const std::vector<Text>& texts, const std::string& as) {
    for (const Text& text : texts) {
        fmt::print("{}\n", as == "line" ? to_text(text.litmus.program) : to_text(text.litmus));
    }
    return 0;
}

int refuse(const std::string& message) {
    fmt::print(stderr, "verso: {}\n", message);
    return 2;
}

}  // namespace

int litmus(const LitmusOptions& options) {
    const Result<std::vector<Text>> texts = texts_of(options.paths);
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
    bool all_held = true;
    for (const Text& text : *texts) {
        const std::vector<Judged> all = judge(text, *machines, options.runs);
        if (options.promote && !promote(text, all)) {
            return refuse(fmt::format("'{}' cannot be written; make its folder writable",
                                      expected_path(text.path).string()));
        }
        nlohmann::ordered_json entry = {{"file", text.path.string()}, {"title", text.litmus.title}};
        if (!options.json) {
            fmt::print("{}: {}\n", text.path.string(), text.litmus.title);
        }
        for (const Judged& one : all) {
            all_held = all_held && (options.promote || held(one));
            options.json ? entry["machines"].push_back(json_of(one)) : print_block(one);
        }
        json.push_back(std::move(entry));
    }
    if (options.json) {
        fmt::print("{}\n", json.dump(2));
    }
    return all_held ? 0 : 1;
}

}  // namespace verso::cli
