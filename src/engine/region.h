// Region: one tracked memory, and Snapshot: one frozen moment of it. The verbs of the public
// interface are methods here; each mechanism has a file of its own:
//
//   region.cc        create, adopt, take down        arming.cc   the protection pass, the cut
//   write_faults.cc  capture, revoke, release        fill.cc     serving children's first touches
//   ahead.cc         releasing what comes next
//   child.cc         forks in this process, views    rewind.cc   rewind, discard
//   written.cc       marks, async scans              reader.cc   the thread that reads events
//   attach.cc        memory in another process       segv.cc     the mprotect backend
//   account.cc       statistics, memory, damage    move.cc      children's chunks that change file
//   takeover.cc      what outlives this process    settle.cc    what a rewind need not restore
//                                                               again
//
// A region lives as long as its last user: the application's handle, its snapshots, their
// children. Only then are its threads stopped, its protection lifted and its memory returned.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/filler.h"
#include "engine/frozen.h"
#include "engine/guard.h"
#include "engine/marks.h"
#include "engine/presence.h"
#include "engine/runtime.h"
#include "engine/stripes.h"
#include "engine/sweeper.h"
#include "verso/takeover.hpp"

namespace verso::engine {

/// Where a region's memory comes from.
enum class Origin : u8 {
    created,   // our memfd, mapped by us: nobody else can write it, so children may map it live
    adopted,   // the application's memfd and mapping
    attached,  // likewise, in another process
    child,     // a private mapping of the parent's file; or, with mprotect, a memfd of its own
};

class Snapshot;
class ChildService;

class Region final : public std::enable_shared_from_this<Region>, private kernel::FaultSink {
public:
    static Result<std::shared_ptr<Region>> create(Runtime& runtime, const RegionOptions& options);
    static Result<std::shared_ptr<Region>> adopt(Runtime& runtime, const AdoptOptions& options);
    /// Serves memory whose memfd and userfaultfd came from another process (attach.cc).
    static Result<std::shared_ptr<Region>> attach(Runtime& runtime, int socket, std::string name,
                                                  int timeout_ms, Safekeeping* safe = nullptr);
    ~Region();
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;

    Result<Written> written(Mark since);
    Result<std::shared_ptr<Snapshot>> snapshot();
    Result<RewindReport> rewind(const Snapshot& snapshot);
    Result<void> discard(PageRange range);

    std::span<std::byte> bytes() const;
    u64 pages() const { return pages_; }
    const std::string& name() const { return name_; }
    RegionStats stats() const;
    std::vector<ChildStats> children() const;
    Result<MemoryReport> memory() const;
    Backend backend() const { return guard_.backend(); }
    Tracking tracking() const { return tracking_; }
    std::string describe() const;
    std::string damage() const;

    // What children and the processes that hold them need of their source.
    Runtime& runtime() { return runtime_; }
    kernel::Kernel& kernel() { return kernel_; }
    /// How a new child of `layer` shall share: see FillTarget.
    BaseFile base_file_for(const Layer& layer);
    u64 own_pages() const;
    /// Announces a child that maps live pages; done must be called when it has gone.
    Result<void> expect_live_child();
    void live_child_gone();
    /// Puts the version of `page` that `layer` means (and cheap neighbours) into a child. Only a
    /// child of our `own` may be asked to move a chunk instead.
    void serve(FillTarget& target, Layer& layer, u64 page, PageRange window, bool own);
    /// Maps the next chunk of a child that reads in order, if that costs no memory. False: nothing
    /// to do.
    bool serve_ahead(FillTarget& target, Layer& layer);
    void pin(Layer& layer);
    void unpin(Layer& layer);
    /// Returns when every serve() that began before has ended.
    void wait_for_fills() { const Stripes::All held(stripes_); }
    /// Stores what `layer` needs and only this process has. For a root: nothing unless
    /// `everything`.
    Result<void> settle_layer(Layer& layer, bool everything);
    /// The ancestry that a child of `layer` has.
    std::vector<Level> levels_of(const Layer& layer);
    int live_fd() const { return live_.get(); }
    Frozen& frozen() { return frozen_; }
    Origin origin() const { return origin_; }
    Filler* filler() { return filler_.get(); }

    struct ChildPlan {
        BaseFile base_file = BaseFile::live;
        int file = -1;  // borrowed
        u64 file_offset = 0;
        u64 pages = 0;
        std::string name;
        u64 address = 0;  // 0: anywhere
        bool read_only = false;
        bool served_elsewhere = false;  // or may come to be
        int layer_file = -1;  // live: where chunks may move to; borrowed, as long as the filler
        u64 layer_offset = 0;
    };
    /// A child's mapping and userfaultfd, not yet served: give it a filler, then start() it.
    static Result<std::shared_ptr<Region>> make_child(Runtime& runtime, const ChildPlan& plan);
    FillTarget& target() { return target_; }
    Result<void> start(std::unique_ptr<Filler> filler);
    /// The mprotect backend's fork: a memfd of its own, copied from the snapshot page by page
    /// (segv.cc).
    static Result<std::shared_ptr<Region>> make_copying_child(const std::shared_ptr<Region>& parent,
                                                              Layer& layer, std::string name,
                                                              bool read_only);
    /// Copies the version of `page` that `layer` means. False: it is lost.
    bool copy_page(const Layer& layer, u64 page, std::span<std::byte> out);
    int uffd() const { return uffd_.get(); }
    u64 base() const { return base_; }

    // takeover.cc; see verso/takeover.hpp. All do nothing without a Safekeeping.
    struct TakenOver {
        std::shared_ptr<Region> region;
        std::vector<std::shared_ptr<Snapshot>> snapshots;
    };
    static Result<TakenOver> take_over(Runtime& runtime,
                                       std::span<const Safekeeping::Entry> entries,
                                       Safekeeping& safe);
    Safekeeping* safe() const { return safe_; }
    void drop_snapshot(const Layer& layer);
    /// Returns the key to drop it by.
    Result<std::string> keep_child(const Layer& layer, const FillTarget& child,
                                   std::span<const int> fds);

private:
    friend class Snapshot;
    struct Setup {
        std::string name;
        u64 pages = 0;
        Tracking tracking = Tracking::contents;
        Origin origin = Origin::created;
        Runtime::Seat seat;
    };
    struct ArmCost {
        u64 arm_ns = 0;
        u64 cut_ns = 0;
        u64 calls = 0;
        u64 pages = 0;
        u64 protect_ns = 0;  // within the calls
    };
    struct Window {
        u64 first = 0;
        u64 count = 0;
    };

    Region(Runtime& runtime, Setup setup, Frozen frozen);
    static Result<std::shared_ptr<Region>> make(Runtime& runtime, Setup setup, bool trusted);
    static Result<std::shared_ptr<Region>> make(Runtime& runtime, Setup setup, Frozen frozen);

    // takeover.cc
    std::string key(std::string_view what, u64 number = 0) const;
    Result<void> keep_region();
    Result<void> keep_snapshot(const Layer& layer);
    struct Waiting {
        ChildService* service = nullptr;
        std::string key;
    };
    static Result<std::shared_ptr<Region>> take_region(Runtime& runtime,
                                                       const Safekeeping::Entry& entry);
    Result<void> take_memory(const Safekeeping::Entry& entry);
    Result<void> take_reader(const Safekeeping::Entry& entry, TakenOver& taken,
                             std::vector<Waiting>& children);
    void give_back_unread();
    Result<void> serve_again();
    Result<void> protect_everything();
    Safekeeping* safe_ = nullptr;
    std::atomic<u64> children_kept_{0};

    // region.cc
    Result<void> open_live(u64 bytes);
    Result<void> map_live(bool shared_by_us, u64 address);
    Result<void> choose_backend(Backend wanted);
    Result<void> refuse_huge_pages();
    Result<void> find_granule();
    Result<void> open_uffd(u64 extra_features);
    Result<void> watch(u64 register_mode);
    void stop_threads();

    // arming.cc (arm_mutex_ held)
    Result<ArmCost> arm(const std::function<void()>& at_the_cut);
    kernel::Outcome protect_open(u64 first, u64 count, ArmCost& cost);
    kernel::Outcome protect_run(u64 first, u64 count, ArmCost& cost);
    kernel::Outcome protect_ahead(ArmCost& cost);
    Result<void> become_a_source();

    // reader.cc
    void read_events();
    void dispatch(const kernel::Event& event);
    void wait_for_reader() const;
    int beside() const;
    void on_beside();
    void work();
    void list_layout(std::span<const kernel::Event> batch);
    void act_on_layout();
    void act_on_layout_held();
    bool is_our_unmap(const kernel::Event& event) const;
    void wait_for_layout() const;
    PageRange pages_of(const kernel::Event& event) const;
    std::vector<PageRange> going(u64 first, u64 count) const;
    bool lose_going_held(u64 first, u64 count);
    void note_damage(const kernel::Event& event);

    // write_faults.cc (stripe of the page held where `held` says so)
    void resolve_write(u64 page);
    bool resolve_write_held(u64 page);
    void prepare_for_write_held(u64 first, u64 count);
    void capture_held(Layer& layer, u64 first, u64 count);
    void revoke_held(u64 page);
    void note_written_held(u64 first, u64 count) {
        marks_.note(first, count);
        frozen_.note_written(first, count);
    }
    void refill_missing(u64 page);
    std::span<const std::byte> source(u64 first, u64 count) const;

    // ahead.cc (likewise)
    Window granule_of(u64 page) const { return {round_down(page, granule_), granule_}; }
    Window window_held(u64 page) const;
    Window closed_held(u64 at, u64 end, u64 count_max) const;
    void look_ahead_held(u64 page);
    void expect_sequential(u64 chunk);
    bool open_ahead_held(Window window);
    bool step_ahead();
    bool sweep(u64 chunk);
    void make_writable(u64 chunk);
    enum class Swept { more, all, nothing };
    Swept sweep_word(u64 chunk);

    void list_child(const FillTarget& target);  // account.cc

    // fill.cc (stripe held)
    void serve_live_held(FillTarget& target, Layer& layer, u64 page, PageRange window);
    void give_own_held(FillTarget& target, u64 page);
    void serve_through(FillTarget& target, Layer& layer, u64 page, PageRange window);
    kernel::Outcome store_own(Layer& layer, u64 first, u64 count);
    void lose_what_went(Layer& layer, u64 first, u64 count);
    bool given_up(u64 page);
    bool read_own(u64 page, std::span<std::byte> out);
    void expect_order(FillTarget& target, u64 page) const;
    bool maps_whole_held(const FillTarget& target, const Layer& layer, PageRange chunk) const;
    void serve_frozen_held(FillTarget& target, Layer& layer, u64 page);
    void copy_captured_held(FillTarget& target, Layer& layer, u64 page, PageRange window);
    bool bring_to_layer_held(Layer& layer, u64 first, u64 count);
    bool just_went(u64 first, u64 count) const;
    void fill_hole_held(FillTarget& target, u64 first, u64 end);
    void map_base_held(FillTarget& target, u64 first, u64 count, u64 wanted, const Layer& layer);

    // move.cc: as a source, then as a child
    static constexpr u64 no_page = ~u64{0};
    static constexpr u64 no_chunk = ~u64{0};
    bool worth_moving_held(const FillTarget& target, const Layer& layer, u64 page) const;
    bool ask_to_move(FillTarget& target, Layer& layer, u64 chunk);
    void want_move(u64 chunk);
    void conclude_move(u64 chunk, bool moved);
    void make_moves();
    Result<void> end_moves();
    bool owns_none_once_protected(PageRange range);
    bool move_chunk(u64 chunk);
    bool map_layer(PageRange range);
    void keep_from_merging(PageRange range);

    // rewind.cc
    struct PastRun {
        u64 first = 0;
        u64 count = 0;
        const Layer* holder = nullptr;
    };
    u64 first_written(const Layer& layer, u64 from);
    std::vector<PastRun> past_runs_held(const Layer& layer, u64 first, u64 count) const;
    struct Rewinding {
        const Layer* layer = nullptr;
        bool settles = false;
        bool looks = false;  // for open pages that are no longer written
        ArmCost cost{};
        u64 restored = 0;
        std::vector<std::byte> old_bytes{};
        std::vector<std::byte> live_bytes{};
    };
    Result<u64> rewind_chunk(Rewinding& work, u64 first, u64 count);
    Result<u64> open_past(const Layer& layer, u64 first, u64 count);
    void store_past(const Layer& layer, u64 first, u64 count);
    Result<void> open_for_discard(u64 first, u64 count);
    Result<void> punch(PageRange range);
    Result<void> release_held(u64 first, u64 count);
    Result<void> own(u64 first, u64 count);
    kernel::Outcome write_own(u64 page, std::span<const std::byte> bytes);
    void store(u64 page, std::span<const std::byte> bytes);

    // settle.cc
    Rewinding rewinding_held(const Layer& layer);
    std::span<const std::byte> old_bytes(Rewinding& work, const Layer& holder, u64 first,
                                         u64 count);
    bool unchanged(Rewinding& work, const PastRun& run);
    bool settle_held(Rewinding& work, const PastRun& run);
    void restore_held(Rewinding& work, const PastRun& run);

    Result<void> still_tracked() const;
    Result<void> still_lent() const;

    // attach.cc (reader thread)
    Result<void> serve_lender(Fd socket, Safekeeping* safe);
    void hear_lender();
    void end_loan(bool too_late);
    bool lender_gave_up();
    u64 take_leave_held(u64 first, u64 count, bool& too_late);

    // written.cc
    Result<Written> written_async(Mark since);

    // segv.cc
    bool on_access_fault(u64 address, bool write) override;
    Result<void> fill_all_by_copy();
    bool fill_by_copy(u64 page);
    bool open_everything();
    bool read_only_ = false;

    Runtime& runtime_;
    kernel::Kernel& kernel_;
    Runtime::Seat seat_;
    std::string name_;
    u64 pages_;
    Tracking tracking_;
    Origin origin_;

    Fd live_;        // the memfd L; for a child with userfaultfd: the base file
    Mapping alias_;  // our own view of L: never registered, never protected; none for such a child
    Mapping app_;    // the application's mapping, if we made it
    u64 base_ = 0;   // its address, in the process where it lives
    bool local_ = true;
    Fd socket_;  // attached: the lender's end stays connected while we serve
    Fd uffd_;
    Fd stop_;
    Guard guard_;

    FillTarget target_;               // child: where our own pages go
    std::unique_ptr<Filler> filler_;  // child: where they come from
    Lifeline lifeline_;               // child that another process may come to serve
    bool armed_once_ = false;         // guarded by arm_mutex_

    Frozen frozen_;
    Stripes stripes_;
    // Pages that the kernel protects and releases together: all those of a huge page (hugetlb). It
    // is a chunk, so one stripe guards it; `open` has all of its bits or none.
    u64 granule_ = 1;
    Bitmap open_;     // pages that may be writable in the mapping: to be protected by the next pass
    Bitmap exposed_;  // pages of L that children may have mapped
    Bitmap rewound_;  // protected again by a rewind, the last time that one restored them
    u64 rewinds_ = 0;  // guarded by arm_mutex_
    Bitmap filled_;    // mprotect child: pages already copied from the parent
    Marks marks_;
    std::vector<kernel::Run>
        scan_runs_;  // guarded by arm_mutex_; kept, so that a scan allocates little
    std::size_t scanned_last_ = 0;
    u32 live_children_ = 0;      // guarded by all stripes
    bool missing_on_ = false;    // guarded by arm_mutex_: MISSING faults of L come to us
    std::atomic<u64> reads_{0};  // by the reader thread: odd between a read and its consequences
    u64 missing_next_ = 0;       // reader thread only: read-ahead of first touches
    u64 missing_run_ = 1;
    std::vector<u64> ahead_;  // reader thread only: words to finish releasing, latest last
    std::vector<u16>
        heat_;  // by chunk, guarded by its stripe: write faults since the last cut or rewind
    std::atomic<u64> wanted_chunk_{no_chunk};   // a fault waits for its stripe
    std::atomic<u64> made_writable_{no_chunk};  // the sweeper takes minor faults there
    std::atomic<u64> sequential_end_{0};  // chunks before it were swept for being next; 0: none
    u64 sequential_depth_ = 1;            // reader thread only

    std::unique_ptr<kernel::Mutex> release_mutex_;  // one collection of old pages at a time
    std::unique_ptr<kernel::Mutex> arm_mutex_;
    std::atomic<u64> call_ns_{
        1000};  // measured cost of one protect call, and of one page within it
    std::atomic<u64> page_ns_{60};

    struct Counters {
        std::atomic<u64> write_faults{0}, captured{0}, revoked{0}, fills{0}, mapped{0}, copied{0},
            retried{0};
    } count_;

    std::unique_ptr<kernel::Mutex> damage_mutex_;
    std::string damage_;         // guarded by damage_mutex_
    bool mapping_gone_ = false;  // likewise: not all of it is tracked any more
    bool loan_ended_ = false;    // likewise; attached: the memory is the lender's alone again
    std::vector<std::weak_ptr<FillCounts>> fed_;  // likewise: children that have asked for pages

    // A child resolves its write faults on a thread beside its reader: capturing reads the child's
    // own memory, which may fault in turn, and the reader must be free to serve that fault.
    std::unique_ptr<kernel::Mutex> work_mutex_;
    std::unique_ptr<kernel::Condition> work_changed_;
    std::vector<u64> work_;                     // guarded by work_mutex_
    bool work_ended_ = false;                   // guarded by work_mutex_
    std::vector<kernel::Event> layout_;         // likewise: not yet acted upon, oldest first
    std::atomic<std::size_t> layout_count_{0};  // of them
    std::atomic<u64> lost_early_{0};            // pages lost to them before that
    std::vector<u64> moves_;                    // likewise: chunks
    bool moving_ = false;                       // likewise: the worker is at it
    bool may_move_ = false;                     // likewise
    bool unwatched_ = false;  // likewise: a chunk that has moved could not be registered
    std::atomic<u64> own_unmap_{no_page};  // the first page of a chunk that is being mapped anew
    int layer_file_ = -1;                  // what is mapped there
    u64 layer_offset_ = 0;
    u64 layer_access_ = 0;
    std::unique_ptr<kernel::Thread> worker_;
    std::unique_ptr<kernel::Thread> reader_;
    Sweeper sweeper_;
};

class Snapshot {
public:
    /// Takes over one pin of the layer.
    Snapshot(std::shared_ptr<Region> region, Layer& layer);
    ~Snapshot();
    Snapshot(const Snapshot&) = delete;
    Snapshot& operator=(const Snapshot&) = delete;

    Result<std::span<const std::byte>> bytes();
    Result<std::shared_ptr<Region>> fork(std::string name);
    Result<void> export_fork(int socket, int timeout_ms);
    Result<void> detach();
    SnapshotReport report() const;

    Region& region() const { return *region_; }
    Layer& layer() const { return layer_; }

private:
    Result<std::shared_ptr<Region>> child(std::string name, bool read_only);

    std::shared_ptr<Region> region_;
    Layer& layer_;
    std::unique_ptr<kernel::Mutex> view_mutex_;
    std::shared_ptr<Region> view_;  // guarded by view_mutex_; made by the first bytes()
};

}  // namespace verso::engine
