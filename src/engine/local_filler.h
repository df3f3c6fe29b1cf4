// LocalFiller: the parent region is in this process. It keeps the parent, and its layer, alive.
#pragma once

#include "engine/region.h"

namespace verso::engine {

class LocalFiller final : public Filler {
public:
    static Result<std::unique_ptr<Filler>> make(std::shared_ptr<Region> parent, Layer& layer,
                                                BaseFile base_file);
    ~LocalFiller() override;
    LocalFiller(const LocalFiller&) = delete;
    LocalFiller& operator=(const LocalFiller&) = delete;

    void fill(FillTarget& target, u64 page) override {
        served_ = &target;
        parent_->serve(target, layer_, page, {0, target.pages}, true);
    }
    bool fill_ahead(FillTarget& target) override { return parent_->serve_ahead(target, layer_); }
    void fill_for(FillTarget& other, u64 page, PageRange window) override {
        parent_->serve(other, layer_, page, window, false);
    }
    bool lends() const override { return base_file_ == BaseFile::live; }
    void disown(FillTarget& other) override;
    bool settle(FillTarget& target) override;
    std::vector<Level> levels() override { return parent_->levels_of(layer_); }
    Result<void> settle_levels() override;

private:
    LocalFiller(std::shared_ptr<Region> parent, Layer& layer, BaseFile base_file)
        : parent_(std::move(parent)), layer_(layer), base_file_(base_file) {}

    std::shared_ptr<Region> parent_;
    Layer& layer_;
    BaseFile base_file_;
    std::atomic<FillTarget*> served_{nullptr};  // our own child, if it ever faulted
};

}  // namespace verso::engine
