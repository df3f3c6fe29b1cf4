// The database of the demo: accounts whose balances always add up to the same sum, an index over
// the balances, blobs, a log that grows and shrinks, one row of bookkeeping, and a table in which
// each child writes its own id. Beside them may be whatever the user's own file (--db) holds.
//
//   verso_accounts(id, owner, balance), indexed by balance    verso_log(id, source, target, amount)
//   verso_blobs(id, data)    verso_children(id, said)
//   verso_meta(sequence, accounts, total, log_rows, blobs)
//
// The bookkeeping row is written in the same transaction as what it counts, so any state that is
// not exactly one between two transactions is found out.
#pragma once

#include <span>
#include <string>

#include "base/types.h"
#include "cli/demo/sql.h"

namespace verso::cli {

struct BankPlan {
    u64 database_mib = 256;  // grow the database to this by adding blobs; 0: as small as it gets
    u64 accounts = 100'000;
};

/// Adds the demo's tables to the span's database (empty, or a loaded file) and fills them.
Result<void> build_bank(const SpanFiles& files, const BankPlan& plan);

struct BankState {
    u64 sequence = 0;    // transactions committed since the bank was built
    bool holds = false;  // balances, log and blobs are what the bookkeeping says
    std::string why;     // if not
};
Result<BankState> check_bank(Connection& connection);

/// PRAGMA integrity_check: empty if all is well, else its first complaint.
Result<std::string> integrity(Connection& connection);

inline constexpr u64 balance_at_start = 1000;
inline constexpr u64 blob_bytes = u64{64} << 10;
inline constexpr u64 small_blobs = 256;  // ids 1…256: 4 KiB each, the ones the writer replaces
inline constexpr u64 small_blob_bytes = 4096;

}  // namespace verso::cli
