// LocalFiller: see the header.
#include "engine/local_filler.h"

namespace verso::engine {

Result<std::unique_ptr<Filler>> LocalFiller::make(std::shared_ptr<Region> parent, Layer& layer,
                                                  BaseFile base_file) {
    if (base_file == BaseFile::live) {
        const Result<void> ready = parent->expect_live_child();
        if (!ready) {
            return tl::unexpected<Error>(ready.error());
        }
    }
    parent->pin(layer);
    return std::unique_ptr<Filler>(new LocalFiller(std::move(parent), layer, base_file));
}

LocalFiller::~LocalFiller() {
    if (FillTarget* const served = served_.load(); served != nullptr) {
        disown(*served);
    }
    if (base_file_ == BaseFile::live) {
        parent_->live_child_gone();
    }
    parent_->unpin(layer_);
}

/// Our fills run under the parent's stripes: whoever has held each of them once has waited for all.
void LocalFiller::disown(FillTarget& other) {
    if (parent_->filler() != nullptr) {
        parent_->filler()->disown(other);
    }
}

bool LocalFiller::settle(FillTarget& target) {
    parent_->wait_for_fills();
    // The parent may have passed fills on.
    return parent_->filler() == nullptr || parent_->filler()->settle(target);
}

Result<void> LocalFiller::settle_levels() {
    Result<void> settled = parent_->settle_layer(layer_, false);
    if (!settled || parent_->filler() == nullptr) {
        return settled;
    }
    return parent_->filler()->settle_levels();
}

}  // namespace verso::engine
