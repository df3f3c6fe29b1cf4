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

std::optional<Call> area_call(const Step& step, const Where& where) {
    if (step.verb == Verb::lock) {
        return Call::lock(where.at, where.length);
    }
    if (step.verb == Verb::map) {
        const u64 shared = (step.mode & MapMode::shared) != 0 ? MapFlag::shared : u64{0};
        return Call::map((step.mode & MapMode::file) != 0 ? where.file : -1, 0, where.whole,
                         read_write | MapFlag::fixed | shared, where.second);
    }
    if (step.verb == Verb::unmap) {
        return Call::unmap(where.at, where.length);
    }
    if (step.verb == Verb::remap) {
        using kernel::RemapFlag;
        const bool here = (step.mode & RemapMode::here) != 0;
        const u64 flags = (step.mode & RemapFlag::dontunmap) |
                          (here ? u64{0} : RemapFlag::may_move | RemapFlag::fixed);
        const u64 more = (step.mode & RemapMode::longer) != 0 ? where.unit : 0;
        const u64 less = (step.mode & RemapMode::shorter) != 0 ? where.unit : 0;
        return Call::remap(where.at, where.length, where.length + more - less, flags, where.second);
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
