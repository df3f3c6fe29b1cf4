// engine/: track, snapshot, fork and rewind memory while its program runs. It sees kernel/ only:
// calls, events, threads, locks and time all go through the seam, so the same code can run on a
// model.
//
//   application ──stores──▶ app mapping ──(protected page)──▶ write fault ─┐
//                               │ same memfd L                              ▼
//   engine ◀──alias mapping─────┘          capture: old bytes ─▶ frozen memfd F, layer k
//                                          then release the page, wake the writer
//   child ──(no entry yet)──▶ fill fault ─▶ the page's right version: L itself if unchanged since
//                                          snapshot k (mapped, not copied), else F
//
//   region      one tracked memory: its mappings, protection, marks; the verbs
//   frozen      old versions of a region's pages: layers, who needs what, when it can go
//   ledger      the table of layers in shared memory; it outlives its writer
//   guard       how pages are protected and released: userfaultfd, or mprotect + SIGSEGV
//   filler      where a child's pages come from: a region here or elsewhere, or the dead's files
//   wire        what processes say to each other when a child is exported
//
// LOCK ORDER, outermost first:
//   Region::arm_mutex_                 one protection pass, rewind or detach at a time
//   Region::release_mutex_             one collection of old pages at a time
//     Region::stripes_[0..63]          a page's capture, exposure, release, protection; in order
//       (calls into the kernel)        no lock of another region while a stripe is held, except
//                                      upwards: a child's stripe, then (by a fault) its parent's
//   Runtime::mutex_                    leaf
//   RemoteFiller::mutex_               leaf
// May include: base, abi, kernel.
#pragma once

#include "engine/region.h"
#include "engine/runtime.h"
