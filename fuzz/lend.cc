// A lender hands its memory to the engine and says when it wants it back. Whatever it lends, and
// whatever it says, the engine refuses or serves it; and a lender that takes its memory back as
// wire.h draws it may then write what it likes: the snapshot shows the old bytes or refuses.
//
// Input: the loan's fields and descriptors, the first pages to write, then what the lender says.
#include <array>

#include "abi/abi.h"
#include "api/api.h"
#include "base/check.h"
#include "engine/wire.h"
#include "numbers.h"
#include "socket_pair.h"

using verso::Fd;
using verso::u64;
using verso::engine::Mapping;
using verso::engine::Region;
using verso::fuzz::Numbers;
using verso::kernel::Call;
using verso::kernel::Kernel;
using verso::kernel::MapFlag;
using verso::kernel::Outcome;
using verso::kernel::Payload;
namespace wire = verso::engine::wire;

namespace {

constexpr u64 pages = 600;  // two chunks
constexpr std::size_t messages_max = 8;
constexpr auto old_byte = std::byte{1};
constexpr auto new_byte = std::byte{2};

int answer_of(Kernel& kernel, const Call& call) {
    const Outcome outcome = kernel.perform(call);
    VERSO_CHECK(outcome.ok(), "{}: {}", to_string(call), to_string(outcome));
    return static_cast<int>(outcome.value);
}

struct Lender {
    explicit Lender(Kernel& kernel)
        : memfd(answer_of(kernel, Call::memfd_create())),
          uffd(answer_of(kernel, Call::uffd_open(verso::abi::Feature::pagefault_flag_wp |
                                                 verso::abi::Feature::wp_hugetlbfs_shmem |
                                                 verso::abi::Feature::missing_shmem))) {
        (void)answer_of(kernel, Call::file_resize(memfd.get(), verso::to_bytes(pages)));
        memory = Mapping::map(kernel, memfd.get(), 0, verso::to_bytes(pages),
                              MapFlag::read | MapFlag::write | MapFlag::shared, "lent memory")
                     .value();
        for (u64 page = 0; page < pages; ++page) {
            memory.data()[verso::to_bytes(page)] = old_byte;
        }
    }
    Fd memfd;
    Fd uffd;
    Mapping memory;
};

/// Returns whether it lent what it has.
bool lend(Kernel& kernel, int socket, const Lender& lender, Numbers& numbers) {
    wire::Message message;
    message.kind = wire::Kind::lend;
    message.pages = numbers.or_else(pages, 5);
    const u64 address = verso::to_bytes(numbers.or_else(0, 5));
    message.address = address == 0 ? lender.memory.address() : address;
    const std::array<int, 3> all{lender.memfd.get(), lender.uffd.get(), socket};
    const auto count = numbers.or_else(2, 1) % (all.size() + 1);
    (void)wire::send(kernel, socket, message, std::span(all).first(count));
    return count == 2 && message.pages == pages && message.address == lender.memory.address();
}

void say(Kernel& kernel, int socket, Numbers& numbers) {
    for (std::size_t said = 0; numbers.any() && said < messages_max; ++said) {
        wire::Message message;
        message.kind = static_cast<wire::Kind>(1 + numbers.or_else(5, 1) % 10);
        message.number = numbers.or_else(numbers.next(1) % 2, 8);
        message.page = numbers.next(2);
        (void)wire::send(kernel, socket, message);
    }
}

/// What Loan does when it ends.
void take_back(Kernel& kernel, int socket, const Lender& lender) {
    wire::Message leave;
    leave.kind = wire::Kind::barrier;
    (void)wire::send(kernel, socket, leave);
    if (!wire::receive(kernel, socket, wire::Kind::barrier_done, 2'000)) {
        leave.number = 1;
        (void)wire::send(kernel, socket, leave);
    }
    (void)kernel.perform(
        Call::uffd_unregister(lender.uffd.get(), lender.memory.address(), lender.memory.length()));
    for (u64 page = 0; page < pages; ++page) {
        lender.memory.data()[verso::to_bytes(page)] = new_byte;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Numbers numbers(data, size);
    verso::engine::Runtime& runtime = verso::process_runtime();
    Kernel& kernel = runtime.kernel();
    const Lender lender(kernel);
    auto [ours, engines] = verso::fuzz::socket_pair();
    const bool honest = lend(kernel, ours.get(), lender, numbers);
    const auto region = Region::attach(runtime, engines.get(), "lent", 1'000);
    if (!region) {
        VERSO_CHECK(!region.error().message.empty(), "a refusal without a word");
        VERSO_CHECK(!honest, "an honest loan was refused: {}", region.error().message);
        return 0;
    }
    (void)wire::receive(kernel, ours.get(), wire::Kind::accepted, 1'000);
    const auto snapshot = (*region)->snapshot();
    if (!honest || !snapshot) {
        say(kernel, ours.get(), numbers);
        return 0;
    }
    for (u64 left = numbers.next(1); left > 0; --left) {
        lender.memory.data()[verso::to_bytes(numbers.next(2) % pages)] = new_byte;
    }
    say(kernel, ours.get(), numbers);
    take_back(kernel, ours.get(), lender);
    const auto view = (*snapshot)->bytes();
    for (u64 page = 0; view && page < pages; ++page) {
        std::array<std::byte, 1> seen{};
        const Outcome read = kernel.perform(
            Call::memory_read(reinterpret_cast<u64>(view->data()) + verso::to_bytes(page), 1),
            Payload{.out = seen});
        VERSO_CHECK(!read.ok() || seen[0] == old_byte, "page {} of the snapshot is new", page);
    }
    return 0;
}
