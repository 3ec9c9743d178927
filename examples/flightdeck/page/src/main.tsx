import "./style.css";

import { render } from "solid-js/web";

import { App } from "./components/app";
import { createDeck, DeckContext } from "./deck";

function Main() {
  return (
    <DeckContext.Provider value={createDeck()}>
      <App />
    </DeckContext.Provider>
  );
}

render(() => <Main />, document.body);
