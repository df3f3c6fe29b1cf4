// The machine's half of the report. The only demo file that includes nlohmann/json.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/demo/report.h"

namespace verso::cli {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Latency& latency) {
    return {{"count", latency.count},   {"total_ns", latency.total_ns}, {"p50_ns", latency.p50_ns},
            {"p99_ns", latency.p99_ns}, {"p999_ns", latency.p999_ns},   {"max_ns", latency.max_ns}};
}

Json json_of(const SnapshotFigures& s) {
    return {{"arm_ns", s.arm_ns},
            {"cut_ns", s.cut_ns},
            {"protect_calls", s.protect_calls},
            {"pages_protected", s.pages_protected},
            {"pages_captured", s.pages_captured},
            {"released_after", s.released_after},
            {"committed_before", s.committed_before},
            {"committed_after", s.committed_after}};
}

Json json_of(const ChildFigures& c) {
    return {{"id", c.id},
            {"parent", c.parent},
            {"snapshot", c.snapshot},
            {"process_ns", c.process_ns},
            {"run_ns", c.run_ns},
            {"scan_ns", c.scan_ns},
            {"pages", c.pages},
            {"sum", c.sum},
            {"open_ns", c.open_ns},
            {"integrity_ns", c.integrity_ns},
            {"sequence", c.sequence},
            {"hot_journal", c.hot_journal},
            {"rolled_back", c.rolled_back},
            {"memory",
             {{"pss_bytes", c.memory.pss},
              {"private_bytes", c.memory.private_own},
              {"shared_bytes", c.memory.shared},
              {"frozen_bytes", c.memory.frozen},
              {"metadata_bytes", c.memory.metadata},
              {"process_pss_bytes", c.memory.process_pss}}}};
}

Json json_of(const Side& side) {
    Json json{{"name", side.name},
              {"memory_kind", side.memory_kind},
              {"build_ns", side.build_ns},
              {"region_bytes", side.span_bytes},
              {"database_bytes", side.database_bytes},
              {"snapshots_alive_most", side.alive_most}};
    Json& phases = json["stalls"];
    for (unsigned at = 0; at < phase_count; ++at) {
        phases[phase_names[at]] = {{"store", json_of(side.phases[at].store)},
                                   {"transaction", json_of(side.phases[at].transaction)}};
    }
    Json& snapshots = json["snapshots"] = Json::array();
    for (const SnapshotFigures& snapshot : side.snapshots) {
        snapshots.push_back(json_of(snapshot));
    }
    Json& children = json["children"] = Json::array();
    for (const ChildFigures& child : side.children) {
        children.push_back(json_of(child));
    }
    json["memory"] = {
        {"source_bytes", side.memory.source},           {"snapshots_bytes", side.memory.snapshots},
        {"children_bytes", side.memory.children},       {"metadata_bytes", side.memory.metadata},
        {"rewind_copy_bytes", side.memory.rewind_copy}, {"total_bytes", side.memory.total()}};
    json["rewind"] = {
        {"ns", side.rewind.ns},
        {"pages", side.rewind.pages},
        {"hash", fmt::format("{:016x}{:016x}", side.rewind.hash_high, side.rewind.hash_low)}};
    Json& checks = json["checks"] = Json::array();
    for (const Check& check : side.checks) {
        checks.push_back({{"what", check.what}, {"held", check.held}, {"detail", check.detail}});
    }
    json["held"] = side.all_held();
    return json;
}

}  // namespace

std::string json_of(const Work& work, const Side& verso, const Side& rival) {
    const Json json{{"format", "verso-demo-1"},
                    {"options",
                     {{"db", work.db},
                      {"size_mib", work.size_mib},
                      {"snapshots", work.snapshots},
                      {"interval_ms", work.interval_ms},
                      {"children", work.children}}},
                    {"held", verso.all_held() && rival.all_held()},
                    {"verso", json_of(verso)},
                    {"fork", json_of(rival)}};
    // A path need not be UTF-8: replace what is not, rather than throw.
    return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace verso::cli
