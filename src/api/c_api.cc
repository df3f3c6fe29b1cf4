// verso.h over verso.hpp: unwraps handles, turns Result into a status and a sentence per thread.
//
// Nothing may leave as an exception: our code throws none, and running out of memory ends the
// process, as everywhere in Verso. A NULL where an object is required is the caller's mistake and
// is refused with a sentence, because C callers pass the result of a failed call on more often than
// not.
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "verso/verso.h"
#include "verso/verso.hpp"

struct verso_region {
    verso::Region region;
};
struct verso_snapshot {
    verso::Snapshot snapshot;
};

namespace {

using verso::Error;
using verso::ErrorKind;

thread_local Error last_error;  // guarded by: its thread
thread_local verso_status last_status = VERSO_OK;
thread_local std::string last_description;
thread_local std::string last_damage;

verso_status status_of(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::invalid_argument: return VERSO_INVALID_ARGUMENT;
        case ErrorKind::unsupported: return VERSO_UNSUPPORTED;
        case ErrorKind::resource: return VERSO_RESOURCE;
        case ErrorKind::peer: return VERSO_PEER;
        case ErrorKind::damaged: return VERSO_DAMAGED;
        case ErrorKind::system: return VERSO_SYSTEM;
    }
    return VERSO_SYSTEM;
}

verso_status failed(Error error) {
    last_status = status_of(error.kind);
    last_error = std::move(error);
    return last_status;
}

verso_status refused(const char* function, const char* what) {
    return failed({ErrorKind::invalid_argument, 0, fmt::format("{}: {}", function, what)});
}

template <class T>
verso_status status_of(verso::Result<T> result) {
    return result ? VERSO_OK : failed(std::move(result.error()));
}

verso_region* handle(verso::Result<verso::Region> region) {
    if (!region) {
        failed(std::move(region.error()));
        return nullptr;
    }
    return new verso_region{std::move(*region)};
}

const char* or_default(const char* name, const char* fallback) {
    return name != nullptr ? name : fallback;
}

/// An enum that came from C may hold any number.
bool known(verso_tracking tracking) {
    return tracking == VERSO_TRACK_CONTENTS || tracking == VERSO_TRACK_PAGES;
}
verso::Tracking tracking_of(verso_tracking tracking) {
    return tracking == VERSO_TRACK_PAGES ? verso::Tracking::pages : verso::Tracking::contents;
}

constexpr const char* no_region = "the region is NULL; check the call that should have made it";
constexpr const char* no_snapshot = "the snapshot is NULL; check the call that should have made it";
constexpr const char* bad_tracking =
    "tracking is neither VERSO_TRACK_CONTENTS nor VERSO_TRACK_PAGES; pass one of them";

}  // namespace

const char* verso_last_error(void) { return last_error.message.c_str(); }
verso_status verso_last_status(void) { return last_status; }
int verso_last_os_error(void) { return last_error.os_error; }

verso_region* verso_region_create(const char* name, size_t size, verso_tracking tracking) {
    if (!known(tracking)) {
        refused("verso_region_create", bad_tracking);
        return nullptr;
    }
    verso::RegionOptions options;
    options.size = size;
    options.name = or_default(name, "region");
    options.tracking = tracking_of(tracking);
    return handle(verso::Region::create(options));
}

verso_region* verso_region_adopt(const char* name, int memfd, void* address, size_t size,
                                 verso_tracking tracking) {
    if (!known(tracking)) {
        refused("verso_region_adopt", bad_tracking);
        return nullptr;
    }
    verso::AdoptOptions options;
    options.memfd = memfd;
    options.address = address;
    options.size = size;
    options.name = or_default(name, "adopted");
    options.tracking = tracking_of(tracking);
    return handle(verso::Region::adopt(options));
}

void verso_region_free(verso_region* region) { delete region; }

void* verso_region_bytes(const verso_region* region) {
    return region != nullptr ? region->region.bytes().data() : nullptr;
}

size_t verso_region_size(const verso_region* region) {
    return region != nullptr ? region->region.size() : 0;
}

verso_status verso_region_written(verso_region* region, uint64_t* mark, verso_page_range** ranges,
                                  size_t* count) {
    constexpr const char* function = "verso_region_written";
    if (region == nullptr) {
        return refused(function, no_region);
    }
    if (mark == nullptr || ranges == nullptr || count == nullptr) {
        return refused(function, "mark, ranges and count are all required; pass three addresses");
    }
    auto written = region->region.written(verso::Mark{*mark});
    if (!written) {
        return failed(std::move(written.error()));
    }
    auto copy = std::make_unique<verso_page_range[]>(written->ranges.size());
    for (size_t i = 0; i < written->ranges.size(); ++i) {
        copy[i] = {written->ranges[i].first, written->ranges[i].count};
    }
    *mark = written->mark.generation;
    *count = written->ranges.size();
    *ranges = copy.release();
    return VERSO_OK;
}

void verso_ranges_free(verso_page_range* ranges) { delete[] ranges; }

verso_status verso_region_rewind(verso_region* region, const verso_snapshot* snapshot,
                                 verso_rewind_report* report) {
    if (region == nullptr) {
        return refused("verso_region_rewind", no_region);
    }
    if (snapshot == nullptr) {
        return refused("verso_region_rewind", no_snapshot);
    }
    auto rewound = region->region.rewind(snapshot->snapshot);
    if (rewound && report != nullptr) {
        *report = {rewound->pages_restored, rewound->ns};
    }
    return status_of(std::move(rewound));
}

verso_status verso_region_discard(verso_region* region, verso_page_range range) {
    if (region == nullptr) {
        return refused("verso_region_discard", no_region);
    }
    return status_of(region->region.discard({range.first, range.count}));
}

const char* verso_region_describe(const verso_region* region) {
    last_description = region != nullptr ? region->region.describe() : "";
    return last_description.c_str();
}

const char* verso_region_damage(const verso_region* region) {
    last_damage = region != nullptr ? region->region.damage() : "";
    return last_damage.c_str();
}

verso_snapshot* verso_region_snapshot(verso_region* region) {
    if (region == nullptr) {
        refused("verso_region_snapshot", no_region);
        return nullptr;
    }
    auto snapshot = region->region.snapshot();
    if (!snapshot) {
        failed(std::move(snapshot.error()));
        return nullptr;
    }
    return new verso_snapshot{std::move(*snapshot)};
}

void verso_snapshot_free(verso_snapshot* snapshot) { delete snapshot; }

size_t verso_snapshot_size(const verso_snapshot* snapshot) {
    return snapshot != nullptr ? snapshot->snapshot.size() : 0;
}

const void* verso_snapshot_bytes(verso_snapshot* snapshot) {
    if (snapshot == nullptr) {
        refused("verso_snapshot_bytes", no_snapshot);
        return nullptr;
    }
    auto bytes = snapshot->snapshot.bytes();
    if (!bytes) {
        failed(std::move(bytes.error()));
        return nullptr;
    }
    return bytes->data();
}

verso_region* verso_snapshot_fork(const verso_snapshot* snapshot, const char* name) {
    if (snapshot == nullptr) {
        refused("verso_snapshot_fork", no_snapshot);
        return nullptr;
    }
    return handle(snapshot->snapshot.fork(or_default(name, "child")));
}

verso_status verso_snapshot_export(const verso_snapshot* snapshot, int socket, int timeout_ms) {
    if (snapshot == nullptr) {
        return refused("verso_snapshot_export", no_snapshot);
    }
    return status_of(snapshot->snapshot.export_fork(socket, timeout_ms));
}

verso_region* verso_region_import(const char* name, int socket, void* address, int timeout_ms) {
    verso::ImportOptions options;
    options.address = address;
    options.name = or_default(name, "child");
    options.timeout_ms = timeout_ms;
    return handle(verso::Region::import(socket, options));
}

verso_status verso_snapshot_detach(const verso_snapshot* snapshot) {
    if (snapshot == nullptr) {
        return refused("verso_snapshot_detach", no_snapshot);
    }
    return status_of(snapshot->snapshot.detach());
}
