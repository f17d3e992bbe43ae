// The live page: one snapshot, then one small message a second. What each part shows is its own module's affair.
import { read } from "./format.js";
import { changeProviders, drawTimes, providers, showProviders } from "./live/cards.js";
import { listen } from "./live/connection.js";
import { drawIncidents } from "./live/incidents.js";
import { drawLine } from "./live/line.js";
import { addRequests, showRequests } from "./live/requests.js";
import { showTiles } from "./live/tiles.js";

function hear(message) {
  if (message.type === "snapshot") {
    showProviders(message.providers);
    showRequests(message.recent);
  } else {
    changeProviders(message.providers, message.spark);
    if (message.recent) addRequests(message.recent);
  }
  if (message.incidents) drawIncidents(message.incidents);
  showTiles(message);
  drawLine(message, providers());
}

hear(read("snapshot"));
listen(hear);
setInterval(() => !document.hidden && drawTimes(), 1000);
