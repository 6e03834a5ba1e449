;; A feature of WebAssembly that is switched off: tail calls.
(component (core module (func $f return_call $f)))
