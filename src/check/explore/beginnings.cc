// The machines that a search begins with.
#include <fmt/format.h>

#include "abi/abi.h"
#include "base/choice.h"
#include "check/explore/acts.h"

namespace verso::check::explore {
namespace {

using abi::Feature;
using mm::Call;
using mm::Op;
using mm::Outcome;
using mm::Verdict;

constexpr u32 space_pages = 4;  // what a State holds inside itself

mm::FileKind file_kind(Kind kind) {
    switch (kind) {
        case Kind::HS:
        case Kind::HP: return mm::FileKind::hugetlb;
        case Kind::FS:
        case Kind::FP: return mm::FileKind::ordinary;
        case Kind::A:
        case Kind::SS:
        case Kind::SP: break;
    }
    return mm::FileKind::shmem;
}

u64 event_features(const Scope& scope) {
    u64 features = 0;
    for (const std::string& name : scope.events) {
        features |= name == "fork"     ? Feature::event_fork
                    : name == "remap"  ? Feature::event_remap
                    : name == "remove" ? Feature::event_remove
                                       : Feature::event_unmap;
    }
    return features;
}

u64 features_of(const Scope& scope, const mm::Rules& rules, Kind kind, Mode mode) {
    u64 features = event_features(scope);
    features |= rules.has_wp_shmem ? Feature::wp_hugetlbfs_shmem : 0;
    features |= mode == Mode::messages ? 0 : Feature::sigbus;
    features |= mode == Mode::async ? Feature::wp_async : 0;
    const bool empty_too = mode == Mode::sync && kind == Kind::A && rules.has_wp_unpopulated;
    features |= empty_too ? Feature::wp_unpopulated : 0;
    features |= rules.has_poison ? Feature::poison : 0;
    features |= rules.has_move && scope.areas > 1 ? Feature::move : 0;
    return features;
}

Beginning begin(const Scope& scope, const mm::Rules& rules, Kind kind, Mode mode) {
    mm::Shape shape;
    shape.space_pages = space_pages;
    Beginning begun{kind, mode, mm::boot(shape), {}};
    begun.state.thp_enabled = scope.thp;
    FirstChoice choice;
    mm::Machine machine{begun.state, rules, choice};
    const u32 pages = is_hugetlb(kind) ? shape.huge_pages : scope.pages;
    Call map{.op = Op::mmap, .fd = mm::nobody};
    if (kind != Kind::A) {
        Call create{.op = Op::file_create, .flags = static_cast<u32>(file_kind(kind))};
        create.length = to_bytes(pages);
        map.fd = static_cast<u8>(mm::step(machine, create).value);
    }
    using Flags = mm::MapFlags;
    map.flags = Flags::read | Flags::write | Flags::fixed | (is_shared(kind) ? Flags::shared : 0U);
    map.length = to_bytes(pages);
    Call api{.op = Op::uffd_api, .fd = 0};
    api.address = abi::uffd_api_version;
    api.extra = features_of(scope, rules, kind, mode);
    std::vector<Call> calls = {map};
    for (u8 fd = 0; fd < scope.descriptors; ++fd) {
        api.fd = fd;
        calls.push_back({.op = Op::uffd_open});
        calls.push_back(api);
    }
    for (const Call& call : calls) {
        const Outcome outcome = mm::step(machine, call);
        if (outcome.verdict != Verdict::done) {
            begun.why_not = fmt::format("{}: {}", mm::to_string(call.op), to_string(outcome));
            return begun;
        }
    }
    for (u32 i = 1; i < scope.threads; ++i) {
        begun.state.threads.push_back(begun.state.threads.front());
    }
    return begun;
}

}  // namespace

std::vector<Beginning> beginnings_of(const Scope& scope, const mm::Rules& rules) {
    std::vector<Beginning> all;
    for (const Kind kind : scope.kinds) {
        for (const Mode mode : scope.modes) {
            all.push_back(begin(scope, rules, kind, mode));
        }
    }
    return all;
}

}  // namespace verso::check::explore
