;; Grows a table until it cannot, then traps.
;;
;; Rust has no name for tables, so this flow is written by hand. The text is the component: `wat::parse_file`, or
;; `wasm-tools parse table_bomb.wat -o table_bomb.wasm`, makes it binary.
(component
  (import "flowgate:flow/flow-types@0.1.0" (instance $types
    (type $json' string)
    (export "json" (type $json (eq $json')))
    (type $bytes (list u8))
    (type $header' (record (field "name" string) (field "value" $bytes)))
    (export "header" (type $header (eq $header')))
    (type $headers (list $header))
    (type $request' (record
      (field "method" string) (field "path" string) (field "query" string) (field "headers" $headers)
      (field "body" $bytes) (field "peer" string)))
    (export "request" (type $request (eq $request')))
    (type $text (option string))
    (type $trigger' (record
      (field "execution-id" string) (field "flow" string) (field "version" string) (field "hook" string)
      (field "dialect" string) (field "attempt" u32) (field "received-at-ms" u64) (field "deadline-ms" u64)
      (field "message" $text) (field "user-id" $text) (field "session-id" $text) (field "data" $json)
      (field "metadata" $json) (field "request" $request)))
    (export "trigger" (type (eq $trigger')))
    (type $http-reply' (record (field "status" u16) (field "headers" $headers) (field "body" $bytes)))
    (export "http-reply" (type $http-reply (eq $http-reply')))
    (type $data (option $json))
    (type $raw (option $http-reply))
    (type $reply' (record (field "text" $text) (field "data" $data) (field "raw" $raw)))
    (export "reply" (type (eq $reply')))
    (type $input-error' (record
      (field "field" string) (field "expected" string) (field "received" string) (field "message" string)))
    (export "input-error" (type $input-error (eq $input-error')))
    (type $after-ms (option u64))
    (type $retry-after' (record (field "after-ms" $after-ms) (field "message" string)))
    (export "retry-after" (type $retry-after (eq $retry-after')))
    (type $failure' (variant (case "invalid-input" $input-error) (case "failed" string) (case "retry" $retry-after)))
    (export "failure" (type (eq $failure')))))

  (core module $bomb
    (memory (export "memory") 64)
    (table $table 0 funcref)
    (global $free (mut i32) (i32.const 1024))
    ;; Gives out memory and takes none back: one trigger is all that it is for.
    (func (export "realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
      (local $start i32)
      (local.set $start (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (global.set $free (i32.add (local.get $start) (local.get $size)))
      (local.get $start))
    (func (export "handle") (param i32) (result i32)
      (loop $again
        (br_if $again (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
      unreachable))

  (core instance $bomb (instantiate $bomb))
  (alias core export $bomb "memory" (core memory $memory))
  (alias core export $bomb "realloc" (core func $realloc))
  (alias core export $bomb "handle" (core func $run))
  (alias export $types "trigger" (type $trigger))
  (alias export $types "reply" (type $reply))
  (alias export $types "failure" (type $failure))
  (func $handle (param "t" $trigger) (result (result $reply (error $failure)))
    (canon lift (core func $run) (memory $memory) (realloc $realloc)))
  (instance $handler
    (export "handle" (func $handle)))
  (export "flowgate:flow/handler@0.1.0" (instance $handler)))
