// Take the token out of the address and the history, then send it in a form.

history.replaceState(null, "", "/console/enter");
document.getElementById("enter").submit();
