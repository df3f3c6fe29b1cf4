// A user's SQLite file (--db): looked at before anything else happens, refused with one sentence,
// then copied into the region. The file itself is only ever read.
#pragma once

#include <string>

#include "cli/demo/span_files.h"

namespace verso::cli {

struct DatabaseFile {
    std::string path;
    u64 bytes = 0;
    i64 modified_ns = 0;
    bool write_ahead =
        false;  // its header asks for a write-ahead log, which memory files do not have
};

/// Refuses what is no SQLite database, is in use, needs recovery, or is too large for this machine.
Result<DatabaseFile> look_at_database(const std::string& path);

/// Copies it into the (empty) database of the span, and checks that it is sound.
Result<void> load_database(const DatabaseFile& file, const SpanFiles& files);

/// What the demo needs for a span of this size, on both sides one after the other.
Result<void> enough_memory(u64 span_bytes);

}  // namespace verso::cli
