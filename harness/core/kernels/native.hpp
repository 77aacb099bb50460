// What the files of the extension share.
#pragma once
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>

#include <cstddef>

// A view of memory, which is released when nobody needs it any more, or at once if there is an error
// (null).
PyObject* given(void* data, std::size_t size, void (*release)(void*));
bool memory_ready();  // before the first of them; false with an error set

// The functions of each subject, ended by a row of null pointers.
extern PyMethodDef causal_methods[];
extern PyMethodDef causal_reads_methods[];
extern PyMethodDef graph_methods[];
extern PyMethodDef replay_methods[];
extern PyMethodDef saturation_methods[];
extern PyMethodDef search_methods[];
extern PyMethodDef sessions_methods[];
extern PyMethodDef tokens_methods[];
extern PyMethodDef transactions_methods[];
extern PyMethodDef versions_methods[];
