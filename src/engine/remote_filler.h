// RemoteFiller: the parent is in another process. While that lives, it is asked (it alone may map
// pages that its own writers could overwrite); from the moment its end of the socket closes, the
// child reads its ancestry itself.
#pragma once

#include <memory>

#include "engine/ancestry.h"
#include "engine/filler.h"

namespace verso::engine {

class RemoteFiller final : public Filler {
public:
    RemoteFiller(kernel::Kernel& kernel, Fd socket, Ancestry ancestry);

    void fill(FillTarget& target, u64 page) override;
    void settle(FillTarget& target) override;
    std::vector<Level> levels() override { return ancestry_.levels(socket_.get()); }
    Result<void> settle_levels() override { return {}; }  // the exporter did, before it offered
    int watched() const override { return parent_gone_.load() ? -1 : socket_.get(); }
    void on_watched(FillTarget& target) override;

private:
    void take_over(FillTarget& target);
    void fill_alone(FillTarget& target, u64 page);

    kernel::Kernel& kernel_;
    Fd socket_;
    Ancestry ancestry_;
    std::atomic<bool> parent_gone_{false};
    std::unique_ptr<kernel::Mutex> mutex_;  // one fill of ours at a time; the barrier's number
    std::unique_ptr<kernel::Condition> answered_;
    u64 barriers_sent_ = 0;  // guarded by mutex_
    u64 barriers_done_ = 0;  // guarded by mutex_
};

}  // namespace verso::engine
