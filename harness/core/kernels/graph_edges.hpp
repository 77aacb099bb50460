// A directed graph whose edges have kinds, as adjacency lists one after another.
#pragma once
#include <cstdint>
#include <vector>

namespace graph {

using i32 = std::int32_t;
using u32 = std::uint32_t;
using i64 = std::int64_t;
using u64 = std::uint64_t;
using u8 = std::uint8_t;

struct Edges {
  i32 vertices = 0;
  i32 transactions = 0;  // the first vertices; the others do not count in the length of a cycle
  std::vector<u32> first;   // [vertices + 1]: where the list of each vertex begins
  std::vector<i32> target;  // of each edge
  std::vector<u8> kind;     // of each edge: one bit
  std::vector<i32> row;     // of each edge, where cycles are searched: its place in the input

  // Whether every end of an edge is a vertex; if not, there is no graph. A counting sort by source,
  // so that the edges of a vertex stay in their order.
  bool fill(const i32* source, const i32* targets, const u8* kinds, std::size_t count, bool rows) {
    first.assign(static_cast<std::size_t>(vertices) + 1, 0);
    const u32 limit = static_cast<u32>(vertices);
    bool legal = true;
    for (std::size_t i = 0; i < count; ++i) {
      const u32 from = static_cast<u32>(source[i]);
      legal &= from < limit && static_cast<u32>(targets[i]) < limit;
      if (!legal) return false;
      ++first[from + 1];
    }
    for (i32 v = 0; v < vertices; ++v) first[v + 1] += first[v];
    target.resize(count);
    kind.resize(count);
    if (rows) row.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      const u32 slot = first[source[i]]++;
      target[slot] = targets[i];
      kind[slot] = kinds[i];
      if (rows) row[slot] = static_cast<i32>(i);
    }
    // Each list's beginning has moved to its end, which is the beginning of the next one.
    for (i32 v = vertices; v > 0; --v) first[v] = first[v - 1];
    first[0] = 0;
    return true;
  }
};

}  // namespace graph
