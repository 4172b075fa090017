/// The page of `/docs`: reads `openapi.json` and `schema` from the same server and makes a form of them. It needs nothing from any other
/// place, so it works without the internet.
enum DocsPage {
    /// Nothing but the page itself and calls to its own server.
    static let policy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; "
        + "form-action 'none'; frame-ancestors 'none'"

    static let html = #"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Vyuha scoring</title>
        <link rel="icon" href="data:,">
        <style>
        :root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #0a6cbd; --bad: #c0392b; --good: #1e8449; }
        @media (prefers-color-scheme: dark) { :root { --accent: #5ab0f2; --bad: #ff8a7a; --good: #62d28f; } }
        * { box-sizing: border-box; }
        body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1080px; padding: 24px 20px 60px; }
        h1 { font-size: 24px; margin: 0; } h2 { font-size: 17px; margin: 32px 0 10px; } p { margin: 6px 0; }
        code, pre, textarea, input, select { font-family: ui-monospace, monospace; font-size: 13px; }
        .facts { color: GrayText; }
        .columns { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 24px; }
        @media (max-width: 800px) { .columns { grid-template-columns: minmax(0, 1fr); } }
        fieldset { border: 1px solid var(--line); border-radius: 8px; margin: 0; padding: 10px 14px 14px; }
        legend { font-weight: 600; padding: 0 6px; }
        .field { display: grid; grid-template-columns: 150px minmax(0, 1fr); align-items: center; gap: 2px 10px; margin: 5px 0; }
        .field label { overflow-wrap: anywhere; } .field small { grid-column: 2; color: GrayText; } .field .wrong { color: var(--bad); }
        label b { color: var(--bad); font-weight: 400; }
        input, select, textarea { width: 100%; padding: 5px 7px; border: 1px solid var(--line); border-radius: 5px; background: Field; color: FieldText; }
        input[type=checkbox] { width: auto; }
        textarea { min-height: 230px; resize: vertical; }
        button { font: inherit; padding: 6px 16px; border: 1px solid var(--accent); border-radius: 6px; background: none; color: var(--accent); cursor: pointer; }
        button.main { background: var(--accent); color: Canvas; }
        .row { display: flex; flex-wrap: wrap; gap: 12px; align-items: center; margin: 12px 0; }
        pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: 10px 12px; margin: 6px 0; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
        .status { font-weight: 600; } .ok { color: var(--good); } .no { color: var(--bad); }
        details { border: 1px solid var(--line); border-radius: 8px; margin: 8px 0; padding: 8px 14px; }
        summary { cursor: pointer; } summary code { font-weight: 700; }
        .verb { display: inline-block; min-width: 54px; font-weight: 700; color: var(--accent); }
        table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: 3px 10px 3px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
        </style>
        </head>
        <body>
        <h1 id="title">Scoring</h1>
        <p id="text"></p>
        <p class="facts" id="facts">Loading…</p>
        <h2>Try <code>POST /predict</code></h2>
        <div class="columns">
          <form id="form"><fieldset><legend>Event</legend><div id="fields"></div></fieldset></form>
          <div>
            <label for="body">Body (an event, or an array of events)</label>
            <textarea id="body" spellcheck="false"></textarea>
            <div class="row">
              <button class="main" id="send" type="button">Send</button>
              <label><input type="checkbox" id="explain"> explain</label>
              <label id="tokenbox" hidden>token <input id="token" type="password" autocomplete="off" style="width:200px"></label>
            </div>
            <div id="answer" aria-live="polite"></div>
            <details><summary>The same with curl</summary><pre id="curl"></pre></details>
          </div>
        </div>
        <h2>Endpoints</h2>
        <div id="endpoints"></div>
        <script>
        "use strict";
        const byId = id => document.getElementById(id);
        const make = (tag, text, attributes = {}) => {
          const element = document.createElement(tag);
          if (text !== undefined) element.textContent = text;
          for (const name in attributes) element.setAttribute(name, attributes[name]);
          return element;
        };
        const get = async path => (await fetch(path)).json();
        const inputs = [];
        let example = {};

        function kindOf(schema) { return Array.isArray(schema.type) ? schema.type[0] : schema.type; }

        function limits(schema) {
          const parts = [];
          if (schema.minimum !== undefined) parts.push("≥ " + schema.minimum);
          if (schema.exclusiveMinimum !== undefined) parts.push("> " + schema.exclusiveMinimum);
          if (schema.maximum !== undefined) parts.push("≤ " + schema.maximum);
          if (schema.exclusiveMaximum !== undefined) parts.push("< " + schema.exclusiveMaximum);
          return [parts.join(", "), schema.description || ""].filter(x => x).join(" · ");
        }

        function addFields(schema, path, parent) {
          for (const [name, field] of Object.entries(schema.properties || {})) {
            const here = path.concat(name);
            if (kindOf(field) === "object") { addFields(field, here, parent); continue; }
            const required = (schema.required || []).includes(name);
            const id = "field." + here.join(".");
            const row = make("div", undefined, { class: "field" });
            const label = make("label", here.join("."), { for: id });
            if (required) label.append(make("b", " *", { title: "required" }));
            let input;
            if (field.enum || kindOf(field) === "boolean") {
              input = make("select", undefined, { id });
              if (!required) input.append(make("option", "", { value: "" }));
              for (const value of field.enum || [true, false])
                if (value !== null) input.append(make("option", String(value), { value: JSON.stringify(value) }));
            } else {
              input = make("input", undefined, { id, inputmode: kindOf(field) === "string" ? "text" : "decimal" });
            }
            const note = make("small", limits(field));
            row.append(label, input, note);
            parent.append(row);
            input.addEventListener("input", fillBody);
            inputs.push({ path: here, field, input, note, text: limits(field) });
          }
        }

        const at = (object, path) => path.reduce((value, name) => value == null ? undefined : value[name], object);

        function fillForm(event) {
          for (const { path, field, input } of inputs) {
            const value = at(event, path);
            if (input.tagName === "SELECT") input.value = value === undefined || value === null ? "" : JSON.stringify(value);
            else input.value = value === undefined || value === null ? "" : String(value);
          }
        }

        function valueOf({ field, input }) {
          if (input.value === "") return undefined;
          if (input.tagName === "SELECT") return JSON.parse(input.value);
          if (kindOf(field) === "string") return input.value;
          const number = Number(input.value);
          return Number.isFinite(number) ? number : input.value;
        }

        function fillBody() {
          const event = {};
          for (const entry of inputs) {
            const value = valueOf(entry);
            if (value === undefined) continue;
            let object = event;
            for (const name of entry.path.slice(0, -1)) object = object[name] = object[name] || {};
            object[entry.path[entry.path.length - 1]] = value;
          }
          byId("body").value = JSON.stringify(event, null, 2);
          fillCurl();
        }

        function target() { return "predict" + (byId("explain").checked ? "?explain=true" : ""); }

        function fillCurl() {
          const quoted = text => "'" + text.replaceAll("'", "'\\''") + "'";
          let body = byId("body").value;
          try { body = JSON.stringify(JSON.parse(body)); } catch (error) { /* sent as it is */ }
          byId("curl").textContent = "curl -s " + quoted(new URL(target(), location.href).href)
            + (byId("token").value ? " -H 'Authorization: Bearer '\"$TOKEN\"" : "") + " -H 'Content-Type: application/json' -d " + quoted(body);
        }

        function mark(details) {
          for (const entry of inputs) { entry.note.textContent = entry.text; entry.note.className = ""; }
          for (const detail of details) {
            const path = detail.loc.filter((part, index) => index > 0 && typeof part === "string").join(".");
            const entry = inputs.find(entry => entry.path.join(".") === path);
            if (entry) { entry.note.textContent = detail.msg; entry.note.className = "wrong"; }
          }
        }

        async function send() {
          const headers = { "Content-Type": "application/json" };
          if (byId("token").value) headers.Authorization = "Bearer " + byId("token").value;
          const box = byId("answer");
          const begin = performance.now();
          try {
            const response = await fetch(target(), { method: "POST", headers, body: byId("body").value });
            const text = await response.text();
            const took = (performance.now() - begin).toFixed(1);
            let json;
            try { json = JSON.parse(text); } catch (error) { json = undefined; }
            box.replaceChildren(
              make("p", response.status + " " + response.statusText + " · " + took + " ms · " + (response.headers.get("x-request-id") || ""),
                { class: "status " + (response.ok ? "ok" : "no") }),
              make("pre", json === undefined ? text : JSON.stringify(json, null, 2)));
            mark(json && Array.isArray(json.detail) ? json.detail : []);
          } catch (error) {
            box.replaceChildren(make("p", "The service does not answer.", { class: "status no" }));
          }
        }

        function showEndpoints(api) {
          for (const [path, methods] of Object.entries(api.paths)) for (const [method, operation] of Object.entries(methods)) {
            const box = make("details");
            const head = make("summary");
            head.append(make("span", method.toUpperCase(), { class: "verb" }), make("code", path), " " + (operation.summary || ""));
            const table = make("table");
            for (const parameter of operation.parameters || []) {
              const row = make("tr");
              row.append(make("td", "?" + parameter.name), make("td", parameter.description || ""));
              table.append(row);
            }
            for (const [status, response] of Object.entries(operation.responses)) {
              const row = make("tr");
              row.append(make("td", status), make("td", response.description + " (" + Object.keys(response.content || {}).join(", ") + ")"));
              table.append(row);
            }
            box.append(head, table);
            if (method === "get") { const link = make("a", "open", { href: path.slice(1) }); box.append(link); }
            byId("endpoints").append(box);
          }
        }

        async function load() {
          const [api, schema] = await Promise.all([get("openapi.json"), get("schema")]);
          document.title = api.info.title;
          byId("title").textContent = api.info.title;
          byId("text").textContent = api.info.description;
          if (api.components.securitySchemes) byId("tokenbox").hidden = false;
          addFields(schema, [], byId("fields"));
          example = api.paths["/predict"].post.requestBody.content["application/json"].examples.one.value;
          fillForm(example);
          fillBody();
          showEndpoints(api);
          const facts = ["version " + api.info.version];
          const models = await fetch("model");
          if (models.ok) for (const entry of (await models.json()).models)
            facts.push(entry.set + ": " + entry.model.detector + " v" + entry.version + ", threshold " + entry.model.threshold.score.toFixed(4));
          byId("facts").textContent = facts.join(" · ");
          if (location.hash === "#try") await send();
        }

        byId("send").addEventListener("click", send);
        byId("form").addEventListener("submit", event => { event.preventDefault(); send(); });
        for (const id of ["body", "explain", "token"]) byId(id).addEventListener("input", fillCurl);
        load().catch(() => { byId("facts").textContent = "The service does not answer."; });
        </script>
        </body>
        </html>
        """#
}
