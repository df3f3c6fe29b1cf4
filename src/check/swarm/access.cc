// What the programs of a simulated run do with their memory: loads, stores, and the same made by
// the kernel in their name. An access and its entry in the book are one step: no other task runs
// between the moment at which the model performs it and the return to here.
#include <array>

#include <fmt/ranges.h>

#include "check/swarm/world.h"

namespace verso::check::swarm {

using kernel::Call;
using kernel::Outcome;
using kernel::Verdict;

namespace {

/// Counts an access that is under way, so that a rewind can wait for it.
class Use {
public:
    explicit Use(Memory& memory) : memory_(memory) { ++memory_.users; }
    ~Use() { --memory_.users; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

private:
    Memory& memory_;
};

}  // namespace

/// A page that a snapshot lost because its bytes could not be stored is refused: that is what
/// storage failures may cost, and kills do not. So is a page of the first of three memories, in
/// the third, once the second has gone and the socket between those two was closed by somebody
/// else; and what somebody tampered with.
bool World::excused_signal(const Outcome& outcome) const {
    const bool refused = outcome.verdict == Verdict::signal || outcome.verdict == Verdict::no_page;
    const bool cut_off = hang_ups_ > 0 && sent() > 1;
    return refused && (disturbance_.lost + tampers_ > 0 || cut_off);
}

std::optional<u64> World::load(House& house, const MemoryRef& memory, u32 place, bool by_kernel) {
    wait_until([&] { return !memory->closed; }, "a rewind to end");
    const Use use(*memory);
    const u64 at = memory->base + offset_of(place);
    const Outcome outcome = kernel(house).perform(by_kernel ? Call::gup_read(at) : Call::load(at));
    ++tally_.loads;
    if (!outcome.ok()) {
        if (!excused_signal(outcome)) {
            complain(who(), fmt::format("loading from {}: {}", memory->name, to_string(outcome)));
        }
        return std::nullopt;
    }
    const auto value = static_cast<u64>(outcome.value);
    say("load   {} page {} word {}: {:#x}", memory->name, place / words_per_page,
        place % words_per_page, value);
    if (const std::string wrong = memory->book.saw(place, value); !wrong.empty()) {
        complain(who(), fmt::format("{}: {}", memory->name, wrong));
    }
    return value;
}

bool World::store(House& house, const MemoryRef& memory, u32 place, u64 value, bool by_kernel) {
    wait_until([&] { return !memory->closed; }, "a rewind to end");
    const Use use(*memory);
    const u64 at = memory->base + offset_of(place);
    const Outcome outcome =
        kernel(house).perform(by_kernel ? Call::gup_write(at, value) : Call::store(at, value));
    ++tally_.stores;
    if (!outcome.ok()) {
        if (!excused_signal(outcome)) {
            complain(who(), fmt::format("storing to {}: {}", memory->name, to_string(outcome)));
        }
        return false;
    }
    memory->book.wrote(place, value);
    say("store  {} page {} word {} := {:#x}", memory->name, place / words_per_page,
        place % words_per_page, value);
    return true;
}

/// The bytes as a program would have them. Where only faults of the program itself are served, the
/// kernel is refused what is not there yet: a load fetches it, and the kernel reads it then.
Outcome World::read_bytes(House& house, u64 at, bool by_loads, std::span<std::byte> out) {
    constexpr unsigned tries_max = 100;  // it may be taken back in between
    const Call read = Call::memory_read(at, page_size);
    Outcome outcome;
    for (unsigned tries = 0; tries < (by_loads ? tries_max : 1); ++tries) {
        if (by_loads) {
            outcome = kernel(house).perform(Call::load(at));
            if (!outcome.ok()) {
                return outcome;
            }
        }
        outcome = kernel(house).perform(read, {.out = out});
        if (outcome.ok()) {
            return outcome;
        }
    }
    return outcome;
}

void World::read_page(House& house, const MemoryRef& memory, u32 page) {
    wait_until([&] { return !memory->closed; }, "a rewind to end");
    const Use use(*memory);
    std::array<std::byte, page_size> bytes;
    const Outcome outcome =
        read_bytes(house, memory->base + to_bytes(page), memory->read_by_loads, bytes);
    ++tally_.loads;
    if (!outcome.ok()) {
        if (!excused_signal(outcome)) {
            complain(who(), fmt::format("reading page {} of {}: {}", page, memory->name,
                                        to_string(outcome)));
        }
        return;
    }
    say("read   {} page {}", memory->name, page);
    if (const std::string wrong = memory->book.saw(page, bytes); !wrong.empty()) {
        complain(who(), fmt::format("{}: {}", memory->name, wrong));
    }
}

void World::look_at_page(House& house, const Picture& picture, u64 base, u32 page) {
    std::array<std::byte, page_size> bytes;
    const Outcome outcome =
        read_bytes(house, base + to_bytes(page), picture.of->read_by_loads, bytes);
    ++tally_.loads;
    if (!outcome.ok()) {
        if (!excused_signal(outcome)) {
            complain(who(), fmt::format("looking at page {} of {}: {}", page, picture.name,
                                        to_string(outcome)));
        }
        return;
    }
    say("look   {} page {}", picture.name, page);
    std::string wrong = stray_byte(bytes);
    if (wrong.empty() && !picture.moment->saw(words_of(page, bytes))) {
        const Words words = words_of(page, bytes);
        wrong = fmt::format("page {} is of no moment within the call (words {:#x})", page,
                            fmt::join(words.value, " "));
    }
    if (!wrong.empty()) {
        complain(who(), fmt::format("{}: {}", picture.name, wrong));
    }
}

/// Where accesses may go: where few pages are hot, one is met while another is under way.
u32 World::places() const {
    const u32 hot = plan_.knobs.hot_pages;
    return (hot == 0 ? plan_.knobs.pages : std::min(hot, plan_.knobs.pages)) * words_per_page;
}

void World::read(House& house, const MemoryRef& memory, u32 how) {
    const u32 pages = places() / words_per_page;
    const bool by_kernel = !memory->read_by_loads && how / 7 % 8 < plan_.knobs.kernel_access;
    if (how % 7 == 0) {
        (void)load(house, memory, how / 64 % (pages * words_per_page), by_kernel);
        return;
    }
    for (u32 i = 0; i < std::min(pages, plan_.knobs.looks_at_most); ++i) {
        read_page(house, memory, (how / 64 + i) % pages);
    }
}

/// Neighbouring pages more often than not, so that what goes through memory in order is met too.
void World::write(House& house, const MemoryRef& memory, u32 how) {
    const u32 places = this->places();
    const bool by_kernel = !memory->read_by_loads && how / 64 % 8 < plan_.knobs.kernel_access;
    const auto turn = static_cast<u32>(next_value_ % (places / words_per_page));
    const u32 place = how % 3 == 0 ? turn * words_per_page : how / 512 % places;
    (void)store(house, memory, place, ++next_value_, by_kernel);
}

/// A transfer: what leaves one word arrives at another. A snapshot that has the second store and
/// not the first, or a lost one, breaks the book like any other.
void World::move(House& house, const MemoryRef& memory, u32 how) {
    const u32 places = this->places();
    const u32 from = how % places;
    const u32 to = (from + 1 + how / places % (places - 1)) % places;
    kernel::Mutex& lock = *house.estate->lock;
    lock.lock();
    const std::optional<u64> first = load(house, memory, from, false);
    const std::optional<u64> second = load(house, memory, to, false);
    if (first && second) {
        const u64 amount = how % 1000 + 1;
        if (store(house, memory, from, *first - amount, false)) {
            (void)store(house, memory, to, *second + amount, false);
        }
    }
    lock.unlock();
}

}  // namespace verso::check::swarm
