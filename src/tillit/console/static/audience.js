// One audience: who is in others too is counted while one reads the rest.

import { fetchPart } from "./console.js";

const link = document.getElementById("load-overlap");
if (link) {
  const place = link.parentElement;
  const asked = link.href.replace(/#.*/, "");
  const near = new IntersectionObserver((seen) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    near.disconnect();
    fetchPart(asked).then((part) => place.replaceWith(part)).catch(() => {});
  });
  near.observe(link);
}
