// The only file of the bench that writes JSON; and the table, whose notes stand below their line.
#include "cli/bench/harness/report.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace verso::cli::bench {

namespace {

using Json = nlohmann::ordered_json;

/// Three significant digits and the unit: "12.3 µs".
std::string amount(double value, const std::string& unit) {
    const char* suffix = unit.c_str();
    if (unit == "ns") {
        const double size = std::abs(value);
        if (size >= 1e9)
            value /= 1e9, suffix = "s";
        else if (size >= 1e6)
            value /= 1e6, suffix = "ms";
        else if (size >= 1e3)
            value /= 1e3, suffix = "µs";
    }
    const int digits = std::abs(value) >= 100 ? 0 : std::abs(value) >= 10 ? 1 : 2;
    return fmt::format("{:.{}f} {}", value, digits, suffix);
}

std::string side(const std::vector<double>& samples, const std::string& unit) {
    return samples.empty() ? "-" : amount(median(samples), unit);
}

std::string tail_text(const char* who, const std::optional<Tail>& tail) {
    if (!tail)
        return "";
    return fmt::format("  {} p50 {} p99 {} p99.9 {} max {} (n={})", who, amount(tail->p50, "ns"),
                       amount(tail->p99, "ns"), amount(tail->p999, "ns"), amount(tail->max, "ns"),
                       tail->count);
}

std::string figure_text(const Line& line) {
    const double figure = figure_of(line);
    if (figure <= 0)
        return "-";
    if (line.target.basis == Basis::absolute)
        return amount(figure, line.unit);
    return fmt::format("{:.{}f}{}", figure,
                       figure >= 100  ? 0
                       : figure >= 10 ? 1
                                      : 3,
                       line.target.basis == Basis::speedup ? "×" : "");
}

/// How often, and the longest: where there are too few for a tail.
std::string count_text(const char* who, const Line& line, const std::vector<double>& samples) {
    return samples.empty() ? ""
                           : fmt::format("  {} {} (longest {})", who, samples.size(),
                                         amount(quantile(samples, 1), line.unit));
}

std::string notes_of(const Line& line) {
    std::string notes;
    if (line.unit == "ns" && line.ours_samples.size() + line.rival_samples.size() > 2) {
        notes += fmt::format("      measured:{}{}\n", count_text("ours", line, line.ours_samples),
                             count_text("rival", line, line.rival_samples));
    }
    const std::string tails =
        tail_text("ours", line.ours_tail) + tail_text("rival", line.rival_tail);
    if (!tails.empty())
        notes += fmt::format("      tail:{}\n", tails);
    if (line.times.complete()) {
        notes += fmt::format("      from the call: returned {}, first read {}, last page {}\n",
                             amount(median(line.times.call_ns), "ns"),
                             amount(median(line.times.first_read_ns), "ns"),
                             amount(median(line.times.last_page_ns), "ns"));
    }
    for (const Series& series : line.more) {
        notes +=
            fmt::format("      {}: {}\n", series.name, amount(median(series.samples), series.unit));
    }
    if (!line.why_not.empty())
        notes += fmt::format("      {}\n", line.why_not);
    return notes;
}

Json samples_json(const std::vector<double>& samples) {
    Json json;
    json["median"] = median(samples);
    json["min"] = quantile(samples, 0);
    json["max"] = quantile(samples, 1);
    json["count"] = samples.size();
    json["samples"] = samples;
    return json;
}

Json tail_json(const Tail& tail) {
    return {{"p50_ns", tail.p50},
            {"p99_ns", tail.p99},
            {"p999_ns", tail.p999},
            {"max_ns", tail.max},
            {"count", tail.count}};
}

Json target_json(const Target& target) {
    static constexpr const char* bases[] = {"ratio", "speedup", "absolute"};
    static constexpr const char* bounds[] = {"at_most", "at_least", "none"};
    return {{"basis", bases[static_cast<int>(target.basis)]},
            {"bound", bounds[static_cast<int>(target.bound)]},
            {"value", target.value}};
}

Json line_json(const Line& line) {
    Json json;
    json["row"] = line.row;
    json["variant"] = line.variant;
    json["size_mib"] = line.size_mib;
    json["method"] = line.method;
    json["unit"] = line.unit;
    json["rival_is"] = line.rival;
    json["ours"] = samples_json(line.ours_samples);
    json["rival"] = samples_json(line.rival_samples);
    if (line.ours_tail)
        json["ours_tail"] = tail_json(*line.ours_tail);
    if (line.rival_tail)
        json["rival_tail"] = tail_json(*line.rival_tail);
    json["restores"] = line.restores;
    if (line.restores) {
        json["call_ns"] = samples_json(line.times.call_ns);
        json["first_read_ns"] = samples_json(line.times.first_read_ns);
        json["last_page_ns"] = samples_json(line.times.last_page_ns);
    }
    for (const Series& series : line.more) {
        Json entry = samples_json(series.samples);
        entry["unit"] = series.unit;
        json["more"][series.name] = entry;
    }
    json["target"] = target_json(line.target);
    json["figure"] = figure_of(line);
    json["verdict"] = name_of(judge(line));
    if (!line.why_not.empty())
        json["why_not"] = line.why_not;
    return json;
}

}  // namespace

std::string table_of(const Report& report) {
    constexpr const char* layout = "{:<13} {:<36} {:>5} {:>11} {:>11} {:>9} {:>9}  {}\n";
    std::string text = fmt::format(layout, "row", "variant", "MiB", "ours", "rival", "figure",
                                   "target", "verdict");
    std::string last_rival;
    for (const Line& line : report.lines) {
        if (!line.rival.empty() && line.row + line.rival != last_rival) {
            text += fmt::format("── {} against {}\n", line.row, line.rival);
            last_rival = line.row + line.rival;
        }
        text +=
            fmt::format(layout, line.row, line.variant, line.size_mib,
                        side(line.ours_samples, line.unit), side(line.rival_samples, line.unit),
                        figure_text(line), describe(line.target, line.unit), name_of(judge(line)));
        text += notes_of(line);
    }
    const auto count = [&report](Verdict verdict) {
        return std::count_if(report.lines.begin(), report.lines.end(),
                             [verdict](const Line& line) { return judge(line) == verdict; });
    };
    text += fmt::format(
        "{} met, {} missed, {} incomplete, {} failed, {} skipped, {} without a target\n",
        count(Verdict::met), count(Verdict::missed), count(Verdict::incomplete),
        count(Verdict::failed), count(Verdict::skipped), count(Verdict::reported));
    return text;
}

std::string json_of(const Report& report) {
    Json json;
    json["tool"] = report.tool;
    json["format"] = 1;
    json["machine"] = {{"kernel", report.before.kernel_release},
                       {"processor", report.before.processor},
                       {"cpus", report.before.cpus},
                       {"memory_mib", report.before.memory_mib},
                       {"shmem_huge_pages", report.before.shmem_huge_pages},
                       {"gives_memory_back", report.before.gives_memory_back},
                       {"load_before", report.before.load},
                       {"load_after", report.load_after}};
    for (const OptionSaid& option : report.options) {
        std::visit([&](const auto& value) { json["options"][option.name] = value; }, option.value);
    }
    json["method"] = report.method;
    json["lines"] = Json::array();
    for (const Line& line : report.lines)
        json["lines"].push_back(line_json(line));
    return json.dump(1) + "\n";
}

Result<void> check_writable(const std::string& path) {
    // Append mode: an existing file keeps its contents until there is something to replace them.
    if (std::ofstream(path, std::ios::app))
        return {};
    return fail(ErrorKind::invalid_argument, errno,
                "--json: cannot write {} ({}); name a file in a directory that exists", path,
                std::strerror(errno));
}

Result<void> write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::trunc);
    file << text;
    file.close();
    if (file)
        return {};
    return fail(ErrorKind::resource, errno, "writing {} failed ({})", path, std::strerror(errno));
}

}  // namespace verso::cli::bench
