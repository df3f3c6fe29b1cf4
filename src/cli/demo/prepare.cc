// What comes before both sides: how large, and the database itself.
#include <algorithm>

#include "base/result.h"
#include "cli/demo/bank.h"
#include "cli/demo/contender.h"
#include "cli/demo/database_file.h"

namespace verso::cli {
namespace {

BankPlan plan_for(const Work& work) {
    if (!work.db.empty()) {  // the file is the load; the demo's own tables stay small beside it
        return {.database_mib = 0, .accounts = 20'000};
    }
    return {.database_mib = work.size_mib,
            .accounts = std::clamp<u64>(work.size_mib * 400, 2000, 400'000)};
}

Result<void> load(const Work& work, const SpanFiles& files) {
    auto file = look_at_database(work.db);
    if (!file) {
        return pass(file);
    }
    return load_database(*file, files);
}

}  // namespace

Result<u64> span_for(const Work& work) {
    u64 bytes = work.size_mib << 20;
    if (!work.db.empty()) {
        auto file = look_at_database(work.db);
        if (!file) {
            return pass(file);
        }
        bytes = file->bytes;
    }
    const u64 span = SpanFiles::span_for(bytes);
    if (auto enough = enough_memory(span); !enough) {
        return pass(enough);
    }
    return span;
}

Result<Prepared> prepare(std::span<std::byte> memory, const Work& work) {
    const u64 start = now_ns();
    auto files = SpanFiles::format(memory);
    if (!files) {
        return pass(files);
    }
    if (!work.db.empty()) {
        if (auto loaded = load(work, *files); !loaded) {
            return pass(loaded);
        }
    }
    if (auto built = build_bank(*files, plan_for(work)); !built) {
        return pass(built, work.db.empty() ? "building the database"
                                           : work.db + ": adding the demo's tables to the copy");
    }
    return Prepared{.build_ns = now_ns() - start,
                    .database_bytes = files->size(FileKind::database)};
}

}  // namespace verso::cli
