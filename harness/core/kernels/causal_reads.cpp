// Who read from whom: external reads with their writers, and the final writes of transactions.
//
// causal_reads(first, kind, key, value, outcome, keys)
//     -> (doubted, read_row, reader, read_key, writer, write_row, write_node, write_key, wrong)
//   first: int64[n + 1], the rows of each transaction. kind: int8[m]; 0: read, 1: write. key: int32[m]
//   in [0, keys); value: int32[m], 0 is nil. outcome: int8[n]; 1: ok, 2: fail, 3: info.
//   doubted: a read that several may have written, or -1; then the rest is empty. Rows are int64
//   bytes, the others int32 bytes. writer: -1 is the initial state. wrong: int64[][3], the number of
//   a Wrong, the read, and another row or -1. ValueError if the columns do not fit together.
#include "arguments.hpp"

#include <algorithm>
#include <climits>
#include <cstdint>
#include <vector>

namespace {

using i8 = std::int8_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using u64 = std::uint64_t;

enum Wrong { INTERNAL = 0, FUTURE = 1, INTERMEDIATE = 2, ABORTED = 3, GARBAGE = 4 };
enum Outcome { OK = 1, FAIL = 2 };

struct Columns {
  const i64* first;
  const i8* kind;
  const i32* key;
  const i32* value;
  const i8* outcome;
  i32 nodes, rows, keys;
};

struct Row {
  i64 wrong, read, other;
};

// A key and a value as one number.
u64 version(const Columns& in, i32 row) {
  return static_cast<u64>(static_cast<std::uint32_t>(in.key[row])) << 32 |
         static_cast<std::uint32_t>(in.value[row]);
}

// Versions and the row that wrote each; open addressing.
class Table {
 public:
  explicit Table(std::size_t count) {
    std::size_t room = 16;
    for (shift_ = 60; room < 2 * count; --shift_) room *= 2;
    slots_.assign(room, Slot{0, -1, 0});
    mask_ = room - 1;
  }
  void add(u64 version, i32 row) {
    Slot& slot = slots_[find(version)];
    slot.several |= static_cast<i32>(slot.row >= 0);
    slot.version = version;
    slot.row = row;
  }
  // The row, -1 if there is none; several: whether there are more.
  i32 at(u64 version, bool& several) const {
    const Slot& slot = slots_[find(version)];
    several = slot.several != 0;
    return slot.row;
  }

 private:
  struct Slot {
    u64 version;
    i32 row, several;
  };
  std::vector<Slot> slots_;
  std::size_t mask_;
  int shift_;
  // The highest bits of the product, for only these depend on all of the key and the value.
  std::size_t find(u64 version) const {
    std::size_t at = static_cast<std::size_t>(version * 0x9E3779B97F4A7C15ull >> shift_);
    while (slots_[at].row >= 0 && slots_[at].version != version) at = (at + 1) & mask_;
    return at;
  }
};

class Reads {
 public:
  explicit Reads(const Columns& in) : in_(in) {}

  void run() {
    scan();
    if (resolve()) {
      explain();
      write();
    } else {
      wrong.clear();
    }
  }
  i64 doubted = -1;
  std::vector<i64> read_row, write_row;
  std::vector<i32> reader, read_key, writer, write_node, write_key;
  std::vector<Row> wrong;

 private:
  const Columns& in_;
  std::vector<bool> final_, happened_;
  std::vector<i32> external_, lost_;
  std::size_t finals_ = 0;

  // What a transaction knows of each key: the rows of its last write and of its last read.
  struct Known {
    i32 node = -1, wrote = -1, read = -1;
  };

  void scan() {
    final_.assign(static_cast<std::size_t>(in_.rows), false);
    std::vector<Known> keys(static_cast<std::size_t>(in_.keys));
    for (i32 t = 0; t < in_.nodes; ++t) {
      const i32 end = static_cast<i32>(in_.first[t + 1]);
      for (i32 row = static_cast<i32>(in_.first[t]); row < end; ++row) {
        Known& known = keys[static_cast<std::size_t>(in_.key[row])];
        if (known.node != t) known = Known{t, -1, -1};
        if (in_.kind[row] != 0) {
          if (known.wrote >= 0) {
            final_[static_cast<std::size_t>(known.wrote)] = false;
          } else {
            ++finals_;
          }
          final_[static_cast<std::size_t>(row)] = true;
          known.wrote = row;
        } else if (known.wrote >= 0) {
          if (in_.value[row] != in_.value[known.wrote]) wrong.push_back({INTERNAL, row, known.wrote});
        } else {
          const bool again = known.read >= 0;
          const bool same = again && in_.value[row] == in_.value[known.read];
          if (again && !same) wrong.push_back({INTERNAL, row, known.read});
          if (!same || known.read != row - 1) external_.push_back(row);
          known.read = row;
        }
      }
    }
  }

  i32 owner(i32 row) const {
    return static_cast<i32>(std::upper_bound(in_.first, in_.first + in_.nodes + 1, row) - in_.first) - 1;
  }

  // False: who was read is not known.
  bool resolve() {
    Table table(finals_);
    std::vector<i32> owners(static_cast<std::size_t>(in_.rows));
    for (i32 t = 0; t < in_.nodes; ++t) {
      for (i64 row = in_.first[t]; row < in_.first[t + 1]; ++row) {
        owners[static_cast<std::size_t>(row)] = t;
        if (final_[static_cast<std::size_t>(row)] && in_.outcome[t] != FAIL) {
          table.add(version(in_, static_cast<i32>(row)), static_cast<i32>(row));
        }
      }
    }
    happened_.assign(static_cast<std::size_t>(in_.nodes), false);
    for (const i32 row : external_) {
      bool several = false;
      const i32 found = table.at(version(in_, row), several), t = owners[static_cast<std::size_t>(row)];
      const bool initial = in_.value[row] == 0;
      if (several || (initial && found >= 0)) {
        doubted = row;
        return false;
      }
      const i32 from = found >= 0 ? owners[static_cast<std::size_t>(found)] : -1;
      if (found >= 0 && from == t) {
        wrong.push_back({FUTURE, row, -1});
      } else if (found >= 0 || initial) {
        read_row.push_back(row);
        reader.push_back(t);
        read_key.push_back(in_.key[row]);
        writer.push_back(from);
        if (from >= 0) happened_[static_cast<std::size_t>(from)] = true;
      } else {
        lost_.push_back(row);
      }
    }
    return true;
  }

  // Why these reads have no writer.
  void explain() {
    if (lost_.empty()) return;
    std::vector<u64> wanted;
    for (const i32 row : lost_) wanted.push_back(version(in_, row));
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    std::vector<i32> intermediate(wanted.size(), -1), aborted(wanted.size(), -1);
    for (i32 t = 0; t < in_.nodes; ++t) {
      const bool failed = in_.outcome[t] == FAIL;
      for (i32 row = static_cast<i32>(in_.first[t]); row < in_.first[t + 1]; ++row) {
        if (in_.kind[row] == 0 || (!failed && final_[static_cast<std::size_t>(row)])) continue;
        const auto at = std::lower_bound(wanted.begin(), wanted.end(), version(in_, row));
        if (at == wanted.end() || *at != version(in_, row)) continue;
        i32& first = (failed ? aborted : intermediate)[static_cast<std::size_t>(at - wanted.begin())];
        if (first < 0) first = row;
      }
    }
    for (const i32 row : lost_) {
      const auto at = std::lower_bound(wanted.begin(), wanted.end(), version(in_, row)) - wanted.begin();
      const i32 early = intermediate[static_cast<std::size_t>(at)], undone = aborted[static_cast<std::size_t>(at)];
      const i32 other = early >= 0 ? early : undone;
      if (other < 0) {
        wrong.push_back({GARBAGE, row, -1});
      } else if (owner(other) == owner(row)) {
        wrong.push_back({FUTURE, row, other});
      } else {
        wrong.push_back({early >= 0 ? INTERMEDIATE : ABORTED, row, other});
      }
    }
  }

  // The final writes of all that happened.
  void write() {
    for (i32 t = 0; t < in_.nodes; ++t) {
      if (in_.outcome[t] == FAIL || (in_.outcome[t] != OK && !happened_[static_cast<std::size_t>(t)])) continue;
      for (i64 row = in_.first[t]; row < in_.first[t + 1]; ++row) {
        if (!final_[static_cast<std::size_t>(row)]) continue;
        write_row.push_back(row);
        write_node.push_back(t);
        write_key.push_back(in_.key[row]);
      }
    }
  }
};

const char* problem(const Columns& in) {
  if (in.first[0] != 0 || in.first[in.nodes] != in.rows) return "first must span all rows";
  for (i32 t = 0; t < in.nodes; ++t) {
    if (in.first[t + 1] < in.first[t]) return "first must ascend";
  }
  for (i32 row = 0; row < in.rows; ++row) {
    if (in.key[row] < 0 || in.key[row] >= in.keys) return "a key is none of the keys";
    if (in.kind[row] < 0 || in.kind[row] > 1) return "a kind is neither a read nor a write";
    if (in.value[row] < 0) return "a value is no value";
  }
  return nullptr;
}

PyObject* causal_reads(PyObject*, PyObject* args) {
  Buffers<5> in;
  int keys;
  if (!PyArg_ParseTuple(args, "y*y*y*y*y*i", &in.views[0], &in.views[1], &in.views[2], &in.views[3],
                        &in.views[4], &keys)) {
    return nullptr;
  }
  const Py_ssize_t rows = in.views[1].len, nodes = in.views[4].len;
  if (rows > INT_MAX / 4 || nodes > INT_MAX / 4) return refuse("too many rows");
  if (!in.aligned(0, 8) || !in.aligned(2, 4) || !in.aligned(3, 4) || in.views[0].len != 8 * (nodes + 1) ||
      in.views[2].len != 4 * rows || in.views[3].len != 4 * rows || keys < 0) {
    return refuse("the columns do not fit together");
  }
  const Columns columns = {in.of<i64>(0), in.of<i8>(1), in.of<i32>(2), in.of<i32>(3), in.of<i8>(4),
                           static_cast<i32>(nodes), static_cast<i32>(rows), keys};
  const char* why = problem(columns);
  if (why != nullptr) return refuse(why);
  Reads found(columns);
  if (!unlocked([&] { found.run(); })) return nullptr;
  return Py_BuildValue("LNNNNNNNN", static_cast<long long>(found.doubted), bytes_of(found.read_row),
                       bytes_of(found.reader), bytes_of(found.read_key), bytes_of(found.writer),
                       bytes_of(found.write_row), bytes_of(found.write_node),
                       bytes_of(found.write_key), bytes_of(found.wrong));
}

}  // namespace

PyMethodDef causal_reads_methods[] = {
    {"causal_reads", causal_reads, METH_VARARGS, "Who read from whom."},
    {nullptr, nullptr, 0, nullptr}};
