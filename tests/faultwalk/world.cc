// The world's memory, its expectations, and the census: see the header.
#include "faultwalk/world.h"

#include <csetjmp>
#include <csignal>
#include <cstring>
#include <fstream>

#include <dirent.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "linux/address.h"

namespace verso::faultwalk {
namespace {

using kernel::Call;

thread_local sigjmp_buf out_of_the_fault;
thread_local volatile sig_atomic_t expecting_fault = 0;

void on_fault(int number) {
    if (expecting_fault != 0) {
        siglongjmp(out_of_the_fault, 1);
    }
    ::signal(number, SIG_DFL);
    ::raise(number);
}

u64 word_of(u64 page, u64 version) { return (page << 32) | version; }

std::string compare(std::span<const std::byte> memory, const Bytes& expected, std::string_view what,
                    bool lossy, const std::string& damage) {
    Bytes page_bytes(page_size);
    for (u64 page = 0; page < region_pages; ++page) {
        if (!read_page(memory, page, page_bytes)) {
            if (lossy) {
                continue;  // refused loudly: that is what storage failures may cost
            }
            return fmt::format("{}: page {} cannot be read (damage: '{}')", what, page, damage);
        }
        if (std::memcmp(page_bytes.data(), expected.data() + to_bytes(page), page_size) != 0) {
            u64 found = 0;
            u64 wanted = 0;
            std::memcpy(&found, page_bytes.data(), sizeof found);
            std::memcpy(&wanted, expected.data() + to_bytes(page), sizeof wanted);
            return fmt::format("{}: page {} holds {:#x} and not {:#x}", what, page, found, wanted);
        }
    }
    return {};
}

std::size_t entries_of(const char* folder, std::multiset<std::string>* targets) {
    std::size_t count = 0;
    DIR* const listing = ::opendir(folder);
    while (const dirent* const entry = ::readdir(listing)) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        ++count;
        if (targets != nullptr && std::to_string(::dirfd(listing)) != entry->d_name) {
            char target[256] = {};
            const std::string path = std::string(folder) + "/" + entry->d_name;
            if (::readlink(path.c_str(), target, sizeof target - 1) > 0) {
                std::string name(target);
                // The one is opened once per process and kept; the other nobody makes but a
                // sanitizer, to ask for the names of functions.
                if (name.ends_with("/pagemap") || name.starts_with("pipe:")) {
                    continue;
                }
                targets->insert(name.substr(
                    0, name.find(":[") == std::string::npos ? name.size() : name.find(":[")));
            }
        }
    }
    ::closedir(listing);
    return count;
}

}  // namespace

void write_page(std::span<std::byte> memory, u64 page, u64 version) {
    volatile u64* const words =
        reinterpret_cast<volatile u64*>(memory.data() + to_bytes(page));  // NOLINT
    for (u64 i = 0; i < page_size / sizeof(u64); ++i) {
        words[i] = word_of(page, version);
    }
}

void note_page(Bytes& expected, u64 page, u64 version) { write_page(expected, page, version); }

void expect_faults() {
    struct sigaction action {};
    action.sa_handler = &on_fault;
    action.sa_flags = SA_NODEFER;
    ::sigaction(SIGBUS, &action, nullptr);
    ::sigaction(SIGSEGV, &action, nullptr);
}

bool read_page(std::span<const std::byte> memory, u64 page, std::span<std::byte> out) {
    volatile bool whole = false;
    if (sigsetjmp(out_of_the_fault, 1) == 0) {
        expecting_fault = 1;
        std::memcpy(out.data(), memory.data() + to_bytes(page), page_size);
        whole = true;
    }
    expecting_fault = 0;
    return whole;
}

OwnMemory::OwnMemory() {
    kernel::Kernel& linux_kernel = host::linux_kernel();
    memfd_ = Fd(static_cast<int>(linux_kernel.perform(Call::memfd_create()).value));
    VERSO_CHECK(linux_kernel.perform(Call::file_resize(memfd_.get(), region_size)).ok(), "resize");
    void* const at =
        ::mmap(nullptr, region_size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd_.get(), 0);
    VERSO_CHECK(at != MAP_FAILED, "mmap: {}", errno);
    bytes_ = {static_cast<std::byte*>(at), region_size};
}

OwnMemory::~OwnMemory() { ::munmap(bytes_.data(), bytes_.size()); }

AdoptOptions OwnMemory::options() const {
    AdoptOptions options;
    options.memfd = memfd_.get();
    options.address = bytes_.data();
    options.size = bytes_.size();
    return options;
}

void Wire::make() {
    int pair[2];
    VERSO_CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "{}", errno);
    ours = Fd(pair[0]);
    theirs = Fd(pair[1]);
}

void World::create(Backend backend, Tracking tracking) {
    RegionOptions options;
    options.size = region_size;
    options.name = "walked";
    options.backend = backend;
    options.tracking = tracking;
    region.region = must(engine::Region::create(runtime, options));
    region.write_all(1);
}

void World::take(Held& of, Moment& into) {
    into.snapshot = must(of.region->snapshot());
    into.expected = of.expected;
}

void World::fork_from(Moment& of) {
    child.region = must(of.snapshot->fork("child"));
    child.expected = of.expected;
}

std::string World::check(bool lossy) {
    if (!note.empty()) {
        return note;
    }
    struct Seen {
        std::string_view name;
        std::span<const std::byte> memory;
        const Bytes& expected;
        std::string damage;
    };
    std::vector<Seen> all;
    if (region.region != nullptr) {
        all.push_back({"region", region.region->bytes().empty() ? own.bytes() : region.memory(),
                       region.expected, region.region->damage()});
    }
    if (child.region != nullptr) {
        all.push_back({"child", child.memory(), child.expected, child.region->damage()});
    }
    if (last.region != nullptr) {
        all.push_back({"last", last.memory(), last.expected, last.region->damage()});
    }
    for (Moment* each : {&moment, &later}) {
        if (each->snapshot != nullptr) {
            const Result<std::span<const std::byte>> view = each->snapshot->bytes();
            if (!view) {
                return "a snapshot does not show its bytes: " + view.error().message;
            }
            all.push_back({each == &moment ? "snapshot" : "later snapshot", *view, each->expected,
                           each->snapshot->region().damage()});
        }
    }
    for (const Seen& each : all) {
        std::string wrong = compare(each.memory, each.expected, each.name,
                                    lossy && each.name != "region", each.damage);
        if (!wrong.empty()) {
            return wrong;
        }
    }
    return {};
}

std::string World::check_that_it_goes_on(bool lossy) {
    for (Held* each : {&region, &child, &last}) {
        if (each->region == nullptr || each->region->tracking() == Tracking::pages) {
            continue;
        }
        Held shown = *each;
        std::span<std::byte> memory = shown.memory().empty() ? own.bytes() : shown.memory();
        Result<std::shared_ptr<engine::Snapshot>> fresh = shown.region->snapshot();
        if (!fresh) {
            return "no snapshot can be taken afterwards: " + fresh.error().message;
        }
        Bytes seen(page_size);
        for (u64 page = 0; page < region_pages; page += 3) {
            if (read_page(memory, page, seen)) {  // else: check() judges whether it may be lost
                write_page(memory, page, 900);
                note_page(each->expected, page, 900);
            }
        }
        const Result<std::span<const std::byte>> view = (*fresh)->bytes();
        if (!view) {
            return "a fresh snapshot does not show its bytes: " + view.error().message;
        }
        std::string wrong = compare(*view, shown.expected, "fresh snapshot",
                                    lossy && each != &region, shown.region->damage());
        if (!wrong.empty()) {
            return wrong;
        }
    }
    return check(lossy);
}

void World::release() {
    last.region.reset();
    later.snapshot.reset();
    child.region.reset();
    moment.snapshot.reset();
    region.region.reset();
    loan.reset();
    wire.ours.reset();
    wire.theirs.reset();
    for (int i = 0; i < 2000 && runtime.services() + other_runtime.services() > 0; ++i) {
        ::usleep(1000);
    }
}

Census Census::take() {
    Census census;
    entries_of("/proc/self/fd", &census.descriptors);
    census.threads = entries_of("/proc/self/task", nullptr);
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        census.mappings += line.find("/memfd:") != std::string::npos ? 1 : 0;
    }
    return census;
}

std::string Census::leaked(const Census& after) const {
    std::string text;
    std::multiset<std::string> left = descriptors;
    for (const std::string& each : after.descriptors) {
        const auto at = left.find(each);
        if (at != left.end()) {
            left.erase(at);
        } else {
            text += fmt::format("leaked descriptor of {}; ", each);
        }
    }
    if (after.mappings != mappings) {
        text += fmt::format("{} mappings of memfds before, {} after; ", mappings, after.mappings);
    }
    // One that has been joined may be listed for a moment yet, when it counted first as well: a
    // thread less is no leak.
    if (after.threads > threads) {
        text += fmt::format("{} threads before, {} after; ", threads, after.threads);
    }
    return text;
}

}  // namespace verso::faultwalk
