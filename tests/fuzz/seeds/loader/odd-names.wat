;; Names that no world has, of every form that a name may take.
(component
  (import "url=<https://a.example/b.wasm>" (func))
  (import "integrity=<sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=>" (component))
  (import "unlocked-dep=<a:b@{>=1.0.0}>" (component))
  (import "locked-dep=<a:b@1.0.0>" (component))
  (import "a:b/c@1.0.0-rc.1" (instance
    (export "d" (type $d (sub resource)))
    (export "[method]d.e" (func (param "self" (borrow $d))))
    (export "[static]d.f" (func))))
  (import "wasi:http/types@0.3.0" (instance)))
