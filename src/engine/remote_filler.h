// RemoteFiller: the parent is in another process. While that lives, it is asked (it alone may map
// pages that its own writers could overwrite); from the moment its end of the socket closes, or
// its process has ended, the child reads its ancestry itself. While the process lives on (somebody
// closed the connection alone), its writers do, too: pages are then copied and looked up again,
// never mapped.
#pragma once

#include <map>
#include <memory>

#include "engine/ancestry.h"
#include "engine/filler.h"

namespace verso::engine {

class RemoteFiller final : public Filler {
public:
    RemoteFiller(kernel::Kernel& kernel, Fd socket, Ancestry ancestry, BaseFile base_file);

    void fill(FillTarget& target, u64 page) override;
    void fill_for(FillTarget& other, u64 page, PageRange window) override;
    bool lends() const override { return base_file_ == BaseFile::live; }
    void disown(FillTarget& other) override;
    bool settle(FillTarget& target) override;
    std::vector<Level> levels() override { return ancestry_.levels(socket_.get()); }
    Result<void> settle_levels() override;
    int watched() const override {
        return parent_gone_.load() ? -1 : both_.valid() ? both_.get() : socket_.get();
    }
    void on_watched(FillTarget& target) override;
    void concluded(FillTarget& target, u64 chunk, bool moved) override;

private:
    bool parent_ended() const;
    bool parent_writes_no_more();
    void hide(const wire::Message& lost);
    void begin_move(FillTarget& target, u64 page);
    void take_over();
    void rejoin();
    void wake_all();
    bool ask(FillTarget& target, u64 page, PageRange window, bool own);
    void fill_alone(FillTarget& target, u64 page, PageRange window);

    kernel::Kernel& kernel_;
    Fd socket_;
    Ancestry ancestry_;
    BaseFile base_file_;
    Fd both_;  // the socket and the parent's process; none where the kernel has no pidfds
    FillTarget* own_ = nullptr;           // guarded by mutex_; set by its first fault
    std::map<FillTarget*, u64> adopted_;  // guarded by mutex_: children of the child, by number
    u64 adopted_last_ = 0;                // guarded by mutex_
    std::atomic<bool> parent_gone_{false};
    std::unique_ptr<kernel::Mutex> mutex_;  // one fill of ours at a time; the barrier's number
    std::unique_ptr<kernel::Condition> answered_;
    u64 barriers_sent_ = 0;       // guarded by mutex_
    u64 barriers_done_ = 0;       // guarded by mutex_
    bool told_of_heirs_ = false;  // guarded by mutex_
    bool asked_ = false;          // guarded by mutex_: for a page of the child itself
    bool unsure_ = false;         // guarded by mutex_: the parent's answer to a barrier
    bool parent_dead_ = false;    // guarded by mutex_: its process, not only the connection
    bool cut_off_ = false;        // guarded by mutex_: it was waited for, and lives on
};

}  // namespace verso::engine
