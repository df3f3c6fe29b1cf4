// The tables of the notation.
#include "check/program/words.h"

#include <algorithm>
#include <array>

#include "abi/abi.h"
#include "kernel/call.h"
#include "kernel/half.h"

namespace verso::check {
namespace {

using kernel::Half;
using kernel::Trigger;

constexpr Word advice(std::string_view text, kernel::Advice which) {
    return {text, Verb::advise, static_cast<u64>(which), true};
}
constexpr Word trigger(std::string_view text, Trigger which) {
    return {text, Verb::provoke, static_cast<u64>(which), true};
}

constexpr Word half(std::string_view text, Half which) {
    return trigger(text, kernel::trigger_of(which));
}

constexpr auto words = std::to_array<Word>({
    {"load", Verb::load},
    {"store", Verb::store},
    {"read", Verb::read},
    {"write", Verb::write},
    {"force", Verb::force},
    {"pin", Verb::pin},
    {"unpin", Verb::unpin},
    {"lock", Verb::lock},
    {"pwrite", Verb::file_write},
    {"map", Verb::map},
    {"munmap", Verb::unmap},
    {"mremap", Verb::remap},
    {"mprotect", Verb::protect},
    {"truncate", Verb::truncate},
    {"punch", Verb::punch},
    {"REGISTER", Verb::register_},
    {"UNREGISTER", Verb::unregister},
    {"WAKE", Verb::wake},
    {"WRITEPROTECT", Verb::write_protect, 1},
    {"clear", Verb::write_protect, 0},
    {"COPY", Verb::copy},
    {"ZEROPAGE", Verb::zeropage},
    {"CONTINUE", Verb::continue_},
    {"POISON", Verb::poison},
    {"MOVE", Verb::move},
    {"close", Verb::close},
    {"fork", Verb::fork},
    {"exit", Verb::exit},
    {"clear_refs", Verb::clear_refs},
    {"scan", Verb::scan},
    {"arm", Verb::arm},
    {"messages", Verb::messages},
    advice("DONTNEED", kernel::Advice::drop),
    advice("REMOVE", kernel::Advice::remove),
    advice("NOHUGEPAGE", kernel::Advice::no_huge_page),
    advice("POPULATE_WRITE", kernel::Advice::make_writable),
    advice("FREE", kernel::Advice::free),
    advice("COLD", kernel::Advice::cold),
    advice("PAGEOUT", kernel::Advice::pageout),
    advice("COLLAPSE", kernel::Advice::collapse),
    advice("HUGEPAGE", kernel::Advice::huge_page),
    advice("MERGEABLE", kernel::Advice::mergeable),
    advice("UNMERGEABLE", kernel::Advice::unmergeable),
    advice("POPULATE_READ", kernel::Advice::populate_read),
    advice("GUARD_INSTALL", kernel::Advice::guard_install),
    advice("GUARD_REMOVE", kernel::Advice::guard_remove),
    trigger("reclaim", Trigger::reclaim),
    trigger("swapoff", Trigger::swap_off),
    trigger("migrate", Trigger::migrate),
    trigger("hint", Trigger::numa_hint),
    trigger("merge", Trigger::ksm_merge),
    trigger("unmerge", Trigger::ksm_unmerge),
    trigger("collapse", Trigger::thp_collapse),
    trigger("split", Trigger::thp_split),
    trigger("writeback", Trigger::write_back),
    // of models alone
    half("migrate_begin", Half::migrate_begin),
    half("migrate_end", Half::migrate_end),
    half("migrate_fail", Half::migrate_fail),
    half("writeback_begin", Half::write_back_begin),
    half("writeback_end", Half::write_back_end),
    half("swap_slot_fails", Half::swap_slot_fails),
    half("memory_failure", Half::memory_failure),
    half("device_collect", Half::device_collect),
    half("device_unmap", Half::device_unmap),
    half("device_unmap_held", Half::device_unmap_held),
    half("device_migrate", Half::device_migrate),
    half("device_finalize", Half::device_finalize),
    half("device_give_up", Half::device_give_up),
    half("pin_to_read", Half::pin_to_read),
    half("merge_zeroes", Half::merge_zeroes),
    half("other_node", Half::other_node),
    half("memory_full", Half::memory_full),
    half("memory_back", Half::memory_back),
    half("swap_full", Half::swap_full),
    half("at_the_end", Half::at_the_end),
    half("device_writes", Half::device_writes),
});

constexpr ModeWord without(Verb verb, std::string_view text, u64 category) {
    return {verb, text, category << ScanMode::without_shift};
}

constexpr auto modes = std::to_array<ModeWord>({
    {Verb::register_, "MISSING", kernel::RegisterMode::missing},
    {Verb::register_, "WP", kernel::RegisterMode::write_protect},
    {Verb::register_, "MINOR", kernel::RegisterMode::minor},
    {Verb::register_, "0x8", 8},
    {Verb::copy, "WP", kernel::FillFlag::write_protect},
    {Verb::copy, "DONTWAKE", kernel::FillFlag::no_wake},
    {Verb::copy, "0x8", 8},
    {Verb::continue_, "WP", kernel::FillFlag::write_protect},
    {Verb::continue_, "DONTWAKE", kernel::FillFlag::no_wake},
    {Verb::zeropage, "WP", kernel::FillFlag::write_protect},
    {Verb::poison, "WP", kernel::FillFlag::write_protect},
    {Verb::write_protect, "DONTWAKE", 2},
    {Verb::protect, "READ", kernel::MapFlag::read},
    {Verb::protect, "WRITE", kernel::MapFlag::write},
    {Verb::map, "FILE", MapMode::file},
    {Verb::map, "SHARED", MapMode::shared},
    {Verb::map, "LATER", MapMode::later},
    {Verb::map, "ASKEW", MapMode::askew},
    {Verb::map, "ANYWHERE", MapMode::anywhere},
    {Verb::map, "DROPPABLE", MapMode::droppable},
    {Verb::remap, "DONTUNMAP", kernel::RemapFlag::dontunmap},
    {Verb::remap, "HERE", RemapMode::here},
    {Verb::remap, "SHORTER", RemapMode::shorter},
    {Verb::remap, "LONGER", RemapMode::longer},
    {Verb::remap, "NEXT", RemapMode::next},
    {Verb::remap, "ANYWHERE", RemapMode::anywhere},
    {Verb::move, "HOLES", kernel::MoveFlag::allow_source_holes},
    {Verb::move, "DONTWAKE", kernel::MoveFlag::no_wake},
    {Verb::scan, "WPALLOWED", abi::PageIs::wp_allowed},
    {Verb::scan, "WRITTEN", abi::PageIs::written},
    {Verb::scan, "FILE", abi::PageIs::file},
    {Verb::scan, "PRESENT", abi::PageIs::present},
    {Verb::scan, "SWAPPED", abi::PageIs::swapped},
    {Verb::scan, "PFNZERO", abi::PageIs::pfn_zero},
    {Verb::scan, "HUGE", abi::PageIs::huge},
    {Verb::scan, "SOFT_DIRTY", abi::PageIs::soft_dirty},
    {Verb::scan, "GUARD", abi::PageIs::guard},
    {Verb::arm, "PRESENT", abi::PageIs::present},
    {Verb::arm, "SWAPPED", abi::PageIs::swapped},
    {Verb::arm, "FILE", abi::PageIs::file},
    without(Verb::scan, "!WPALLOWED", abi::PageIs::wp_allowed),
    without(Verb::scan, "!WRITTEN", abi::PageIs::written),
    without(Verb::scan, "!FILE", abi::PageIs::file),
    without(Verb::scan, "!PRESENT", abi::PageIs::present),
    without(Verb::scan, "!SWAPPED", abi::PageIs::swapped),
    without(Verb::scan, "!PFNZERO", abi::PageIs::pfn_zero),
    without(Verb::scan, "!HUGE", abi::PageIs::huge),
    without(Verb::scan, "!GUARD", abi::PageIs::guard),
    without(Verb::arm, "!FILE", abi::PageIs::file),
    without(Verb::arm, "!PRESENT", abi::PageIs::present),
    without(Verb::arm, "!SWAPPED", abi::PageIs::swapped),
    without(Verb::arm, "!PFNZERO", abi::PageIs::pfn_zero),
    without(Verb::arm, "!GUARD", abi::PageIs::guard),
    {Verb::scan, "BLIND", ScanMode::blind},
    {Verb::arm, "BLIND", ScanMode::blind},
    {Verb::scan, "ONE", ScanMode::one},
    {Verb::arm, "ONE", ScanMode::one},
    {Verb::messages, "KEEP", 1},
});

constexpr auto feature_options = std::to_array<Option>({
    {"async", abi::Feature::wp_async},
    {"unpopulated", abi::Feature::wp_unpopulated},
    {"move", abi::Feature::move},
    {"poison", abi::Feature::poison},
    {"EVENT_FORK", abi::Feature::event_fork},
    {"EVENT_REMAP", abi::Feature::event_remap},
    {"EVENT_REMOVE", abi::Feature::event_remove},
    {"EVENT_UNMAP", abi::Feature::event_unmap},
    {"exact", abi::Feature::exact_address},
    {"USER_MODE", user_mode_only},
});

}  // namespace

std::span<const Word> verb_words() { return words; }
std::span<const ModeWord> mode_words() { return modes; }
std::span<const Option> options() { return feature_options; }

std::string_view name_of(Kind kind) {
    constexpr std::string_view names[] = {"A", "SS", "SP", "HS", "HP", "FS", "FP"};
    return names[static_cast<std::size_t>(kind)];
}

bool takes_one_page(Verb verb) {
    constexpr Verb those[] = {Verb::load,     Verb::store,     Verb::read,       Verb::write,
                              Verb::force,    Verb::pin,       Verb::file_write, Verb::copy,
                              Verb::zeropage, Verb::continue_, Verb::poison,     Verb::move};
    return std::ranges::find(those, verb) != std::end(those);
}

bool may_sleep(const Step& step) {
    constexpr Verb not_those[] = {Verb::file_write, Verb::scan,    Verb::arm,
                                  Verb::exit,       Verb::provoke, Verb::messages};
    return std::ranges::find(not_those, step.verb) == std::end(not_those);
}

bool is_uffd_ioctl(Verb verb) {
    constexpr Verb those[] = {
        Verb::register_, Verb::unregister, Verb::wake,   Verb::write_protect, Verb::copy,
        Verb::zeropage,  Verb::continue_,  Verb::poison, Verb::move,          Verb::close};
    return std::ranges::find(those, verb) != std::end(those);
}

bool is_hugetlb(Kind kind) { return kind == Kind::HS || kind == Kind::HP; }
bool is_shared(Kind kind) { return kind == Kind::SS || kind == Kind::HS || kind == Kind::FS; }

}  // namespace verso::check
