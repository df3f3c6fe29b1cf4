// Steps that are one call, as that call.
#include "check/program/calls.h"

namespace verso::check {
namespace {

using kernel::Call;
using kernel::MapFlag;

std::optional<Call> access_call(const Step& step, const Where& where) {
    if (step.verb == Verb::load) {
        return Call::load(where.at);
    }
    if (step.verb == Verb::store) {
        return Call::store(where.at, where.value);
    }
    if (step.verb == Verb::read) {
        return Call::gup_read(where.at);
    }
    if (step.verb == Verb::write) {
        return Call::gup_write(where.at, where.value);
    }
    if (step.verb == Verb::force) {
        return Call::forced_write(where.at, where.value);
    }
    if (step.verb == Verb::pin) {
        return Call::pin(where.at, page_size);
    }
    if (step.verb == Verb::unpin) {
        return Call::unpin(where.pin);
    }
    return std::nullopt;
}

Call map_call(u64 mode, const Where& where) {
    constexpr std::pair<u64, u64> same[] = {{MapMode::shared, MapFlag::shared},
                                            {MapMode::droppable, MapFlag::droppable}};
    u64 flags = read_write;
    for (const auto& [asked, flag] : same) {
        flags |= (mode & asked) != 0 ? flag : 0;
    }
    const bool anywhere = (mode & MapMode::anywhere) != 0;
    flags |= anywhere ? u64{0} : MapFlag::fixed;
    const u64 offset = ((mode & MapMode::later) != 0 ? where.unit : 0) +
                       ((mode & MapMode::askew) != 0 ? where.unit / 2 : 0);
    return Call::map((mode & MapMode::file) != 0 ? where.file : -1, offset, where.whole, flags,
                     anywhere ? 0 : where.second);
}

Call remap_call(u64 mode, const Where& where) {
    using kernel::RemapFlag;
    u64 flags = mode & RemapFlag::dontunmap;
    if ((mode & RemapMode::here) == 0) {
        flags |= RemapFlag::may_move;
        flags |= (mode & RemapMode::anywhere) == 0 ? RemapFlag::fixed : u64{0};
    }
    const u64 more = (mode & RemapMode::longer) != 0 ? where.unit : 0;
    const u64 less = (mode & RemapMode::shorter) != 0 ? where.unit : 0;
    const bool next = (mode & RemapMode::next) != 0;
    return Call::remap(where.at, where.length, where.length + more - less, flags,
                       next ? where.at + where.length : where.second);
}

std::optional<Call> area_call(const Step& step, const Where& where) {
    if (step.verb == Verb::lock) {
        return Call::lock(where.at, where.length);
    }
    if (step.verb == Verb::map) {
        return map_call(step.mode, where);
    }
    if (step.verb == Verb::unmap) {
        return Call::unmap(where.at, where.length);
    }
    if (step.verb == Verb::remap) {
        return remap_call(step.mode, where);
    }
    if (step.verb == Verb::protect) {
        return Call::protect(where.at, where.length, step.mode);
    }
    if (step.verb == Verb::advise) {
        return Call::advise(where.at, where.length, static_cast<kernel::Advice>(step.mode));
    }
    if (step.verb == Verb::truncate) {
        return Call::file_resize(where.file, where.offset);
    }
    if (step.verb == Verb::punch) {
        return Call::file_punch(where.file, where.offset, where.length);
    }
    if (step.verb == Verb::clear_refs) {
        return Call::clear_refs();
    }
    return std::nullopt;
}

}  // namespace

std::optional<Call> plain_call(const Step& step, const Where& where) {
    const std::optional<Call> access = access_call(step, where);
    return access ? access : area_call(step, where);
}

}  // namespace verso::check
