// Memory that a kernel filled, as an object of Python: it is read, and freed in the end, but never
// copied.
#include "native.hpp"

namespace {

struct Memory {
  PyObject_HEAD
  void* data;
  Py_ssize_t size;
  void (*release)(void*);
};

void destroy(PyObject* self) {
  Memory* memory = reinterpret_cast<Memory*>(self);
  memory->release(memory->data);
  PyTypeObject* type = Py_TYPE(self);
  reinterpret_cast<freefunc>(PyType_GetSlot(type, Py_tp_free))(self);
  Py_DECREF(type);
}

int buffer(PyObject* self, Py_buffer* view, int flags) {
  Memory* memory = reinterpret_cast<Memory*>(self);
  static char nothing;
  void* data = memory->data == nullptr ? &nothing : memory->data;
  return PyBuffer_FillInfo(view, self, data, memory->size, 1, flags);
}

PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
                       {Py_bf_getbuffer, reinterpret_cast<void*>(buffer)},
                       {0, nullptr}};
PyType_Spec spec = {"harness.core.kernels._native.Memory", sizeof(Memory), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
PyObject* type = nullptr;

}  // namespace

bool memory_ready() {
  if (type == nullptr) type = PyType_FromSpec(&spec);
  return type != nullptr;
}

PyObject* given(void* data, std::size_t size, void (*release)(void*)) {
  Memory* memory = PyObject_New(Memory, reinterpret_cast<PyTypeObject*>(type));
  if (memory == nullptr) {
    release(data);
    return nullptr;
  }
  memory->data = data;
  memory->size = static_cast<Py_ssize_t>(size);
  memory->release = release;
  PyObject* self = reinterpret_cast<PyObject*>(memory);
  PyObject* view = PyMemoryView_FromObject(self);
  Py_DECREF(self);
  return view;
}
