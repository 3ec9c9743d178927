/** The airlines of 2013 by their common names. */
export const AIRLINES: Readonly<Record<string, string>> = {
  "9E": "Endeavor Air", AA: "American", AS: "Alaska", B6: "JetBlue", DL: "Delta", EV: "ExpressJet",
  F9: "Frontier", FL: "AirTran", HA: "Hawaiian", MQ: "Envoy Air", OO: "SkyWest", UA: "United", US: "US Airways",
  VX: "Virgin America", WN: "Southwest", YV: "Mesa",
};
