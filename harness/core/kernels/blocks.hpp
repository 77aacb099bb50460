// Text that grows and never moves: blocks, given away one by one.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

class Blocks {
 public:
  // Room for so many bytes in a row, of which no more than these are then used (see advance).
  char* room(std::size_t count) {
    if (static_cast<std::size_t>(end_ - next_) < count) grow(count);
    return next_;
  }
  void advance(std::size_t count) { next_ += count; }
  std::size_t size() const {
    return blocks_.empty() ? 0 : before_ + static_cast<std::size_t>(next_ - blocks_.back().get());
  }
  std::size_t blocks() const { return blocks_.size(); }
  // Calls take(block, count) for each block in turn, which is its owner then. Nothing is left.
  template <typename Take>
  void drain(Take take) {
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const bool last = i + 1 == blocks_.size();
      const std::size_t count =
          last ? static_cast<std::size_t>(next_ - blocks_[i].get()) : counts_[i];
      take(std::move(blocks_[i]), count);
    }
    blocks_.clear();
    counts_.clear();
    before_ = 0;
    next_ = end_ = nullptr;
  }

 private:
  // In bytes: what is as long as the most is given back to the system when it is freed (malloc keeps
  // what is shorter than 32 MB).
  static constexpr std::size_t FIRST = 1 << 10, MOST = std::size_t{1} << 26;

  void grow(std::size_t count) {
    const std::size_t usual = blocks_.empty() ? FIRST : std::min(2 * size(), MOST);
    const std::size_t room = std::max(usual, count);
    counts_.reserve(counts_.size() + 1);
    blocks_.reserve(blocks_.size() + 1);
    std::unique_ptr<char[]> block(new char[room]);
    if (!blocks_.empty()) {
      counts_.push_back(static_cast<std::size_t>(next_ - blocks_.back().get()));
      before_ += counts_.back();
    }
    next_ = block.get();
    end_ = next_ + room;
    blocks_.push_back(std::move(block));
  }

  std::vector<std::unique_ptr<char[]>> blocks_;
  std::vector<std::size_t> counts_;  // of all but the last
  std::size_t before_ = 0;           // bytes in all but the last
  char* next_ = nullptr;
  char* end_ = nullptr;
};
