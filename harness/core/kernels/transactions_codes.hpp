// Dense codes of JSON values, from 1 in order of appearance (0 is null); integers have a fast path.
#pragma once
#include "tokens_table.hpp"

#include <algorithm>
#include <limits>

namespace transactions {

using tokens::i32;
using tokens::i64;
using tokens::Span;
using tokens::Table;
using tokens::u64;

constexpr i32 FULL = -1;

class Codes {
 public:
  i32 integer(i64 value) {
    if (value >= 0 && static_cast<u64>(value) < direct_.size()) {
      i32& code = direct_[static_cast<std::size_t>(value)];
      return code != 0 ? code : code = other_integer(value);
    }
    return other_integer(value);
  }
  // Of anything but null and integers of 18 digits at most: equal values have equal texts.
  i32 text(Span span) {
    bool fresh;
    const i32 place = texts_.code(span, fresh);
    if (place == 0) return FULL;
    if (!fresh) return places[static_cast<std::size_t>(place - 1)];
    const i32 code = added(0);
    if (code != FULL) places.push_back(code);
    return code;
  }
  Blocks& json() { return texts_.plain; }

  // By code; 0 for what is no integer.
  std::vector<i64> integers{0};
  // The codes of what stands in json(), with a comma after each.
  std::vector<i32> places;

 private:
  static constexpr std::size_t DIRECT_MAX = std::size_t{1} << 26;

  i32 added(i64 value) {
    if (integers.size() > static_cast<std::size_t>(std::numeric_limits<i32>::max())) return FULL;
    integers.push_back(value);
    return static_cast<i32>(integers.size() - 1);
  }
  // Small numbers are looked up in an array as long as that is not much larger than their count.
  void widen(i64 value) {
    const std::size_t wanted = static_cast<std::size_t>(value) + 1;
    const std::size_t most = std::min(DIRECT_MAX, 8 * integers.size() + (std::size_t{1} << 12));
    if (wanted > direct_.size() && wanted <= most) {
      direct_.resize(std::min(std::max(2 * direct_.size(), wanted), most));
    }
  }
  i32 other_integer(i64 value) {
    std::size_t slot = mixed(value) & (slots_.size() - 1);
    i32 code = 0;
    while ((code = slots_[slot]) != 0 && integers[static_cast<std::size_t>(code)] != value) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    if (code == 0) {
      code = added(value);
      if (code == FULL) return FULL;
      const bool small = value >= 0 && static_cast<u64>(value) < DIRECT_MAX;
      if (small) widen(value);
      if (!small || static_cast<u64>(value) >= direct_.size()) {
        slots_[slot] = code;
        if (2 * ++held_ > slots_.size()) rehash();
      }
    }
    if (value >= 0 && static_cast<u64>(value) < direct_.size()) {
      direct_[static_cast<std::size_t>(value)] = code;
    }
    return code;
  }
  static std::size_t mixed(i64 value) {
    u64 hash = static_cast<u64>(value) * 0x9E3779B97F4A7C15u;
    return static_cast<std::size_t>(hash ^ (hash >> 32));
  }
  void rehash() {
    std::vector<i32> slots(4 * slots_.size());
    slots_.swap(slots);
    for (i32 code : slots) {
      if (code == 0) continue;
      std::size_t slot = mixed(integers[static_cast<std::size_t>(code)]) & (slots_.size() - 1);
      while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
      slots_[slot] = code;
    }
  }

  Table texts_{','};
  std::vector<i32> direct_;
  std::vector<i32> slots_ = std::vector<i32>(64);
  std::size_t held_ = 0;
};

}  // namespace transactions
